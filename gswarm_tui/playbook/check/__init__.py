"""A plan compared with the fleet, before anything is done: `gswarm run --check`."""
