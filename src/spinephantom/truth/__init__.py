"""What is measured on the geometry and which grades follow."""
