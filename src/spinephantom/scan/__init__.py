"""Where slices go and how they become magnitude images."""
