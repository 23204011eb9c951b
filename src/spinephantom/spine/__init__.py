"""The spine of one person as records of geometry: what has a source stands in ``sizes``, the rest is drawing."""
