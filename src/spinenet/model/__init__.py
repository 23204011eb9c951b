"""What grades: the bundle of networks, calibration, prediction sets and the model card."""
