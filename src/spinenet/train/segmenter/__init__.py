"""Training of the fine segmenter: disc, both bodies and canal on the crop of one level, which are then measured."""
