"""What a node reports about its GPUs, itself and its services."""
