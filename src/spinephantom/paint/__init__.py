"""From shapes to water and fat on the planes of a series. Numbers here are choices of drawing, for its looks alone."""
