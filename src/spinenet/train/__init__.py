"""Training: the only place that knows torch, MONAI and Lightning. What it makes is an ONNX bundle."""
