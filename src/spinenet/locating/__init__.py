"""From a study to named levels: discs, their numbering, axial stacks, measurements, views told by the image."""
