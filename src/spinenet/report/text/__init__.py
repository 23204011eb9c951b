"""A study in sentences: the report as radiologists write it, in five languages, and one for patients."""
