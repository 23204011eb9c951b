"""Questions put to a model: other conditions, shortcuts, canals measured in real volumes."""
