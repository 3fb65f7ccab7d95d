"""How a node is reached: the interface (`base`), ssh and local, and the start of the helper."""
