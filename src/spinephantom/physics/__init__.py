"""Tissue, signal, k-space and what a scanner does to an ideal image."""
