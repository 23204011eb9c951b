"""Sizes and signals of a level, from soft masks of disc, bodies and canal in its own frame and the grey values there.

Finer than ``locating.measurements``, which reads the locator's coarse probabilities: one border is known to a fraction
of 0.5 mm, and walls and end-plates are fitted.
"""
