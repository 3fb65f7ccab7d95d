"""The screens in a browser: ``gswarm-tui --web``."""
