"""From shapes to water and fat on the planes of a series."""
