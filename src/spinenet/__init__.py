"""spinenet: reads lumbar spine MRI, finds every disc level and grades it. Research use only, not a medical device."""

__version__ = "0.1.0"
