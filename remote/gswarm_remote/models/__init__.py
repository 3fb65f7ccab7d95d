"""Models on a node: plain folders, published whole and verified (docs/models.md)."""
