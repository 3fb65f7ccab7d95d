"""What a node tells about its hardware."""
