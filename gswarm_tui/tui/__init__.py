"""The `gswarm-tui` command: the fleet on a terminal. Only this package imports Textual."""
