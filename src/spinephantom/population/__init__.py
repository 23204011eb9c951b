"""How frequent everything is among those who are scanned: spines kept by the grades they turn out to have."""
