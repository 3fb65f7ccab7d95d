"""A computed fleet: everything follows from a seed and the time."""
