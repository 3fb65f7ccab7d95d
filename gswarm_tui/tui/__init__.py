"""The `gswarm-tui` command: the fleet on a terminal. Nothing outside of here imports Textual."""
