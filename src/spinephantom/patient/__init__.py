"""Who is scanned and what is wrong with them: age, build, disease and how frequent it is."""
