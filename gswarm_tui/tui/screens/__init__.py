"""The screens, one in each file; each draws a `FleetSnapshot` and never asks nodes itself."""
