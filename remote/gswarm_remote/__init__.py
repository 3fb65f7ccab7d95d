"""What runs on nodes, shipped by bootstrap: the helper and what it does (Python 3.9 and newer)."""
