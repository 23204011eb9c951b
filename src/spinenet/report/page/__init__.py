"""Pages that people read: one a study, the worklist, and what changed between two."""
