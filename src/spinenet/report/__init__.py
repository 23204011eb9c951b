"""What people read: the two tables of a run, and one page a study."""
