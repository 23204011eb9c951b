"""An assessment as tables, words and figures."""
