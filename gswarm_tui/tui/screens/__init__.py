"""One screen a file; each draws a `FleetSnapshot` and asks nobody."""
