"""How a node is reached: the seam (`base`), ssh and local behind it, and the helper's start."""
