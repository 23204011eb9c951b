"""Signed distances in mm and how they are evaluated on many pixels."""
