"""How the bytes of a model reach a node, piece by piece."""
