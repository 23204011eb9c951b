"""May what was located be graded? Quality, artefacts, gates, and what each view can show."""
