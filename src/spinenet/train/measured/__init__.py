"""Training of the model on measurements: features of every disc, and a forest and a kernel machine fitted on them."""
