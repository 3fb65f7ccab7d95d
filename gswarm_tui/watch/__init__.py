"""Watching the fleet: one frozen snapshot of everything per tick, and its history."""
