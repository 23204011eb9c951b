"""Figures and their intervals: from samples of grades to estimates."""
