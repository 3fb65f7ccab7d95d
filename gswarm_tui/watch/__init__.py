"""Watching the fleet: one frozen picture of everything a tick, and what it was like before."""
