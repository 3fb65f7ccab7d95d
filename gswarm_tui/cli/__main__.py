"""`python -m gswarm_tui.cli`."""

from __future__ import annotations

import sys

from gswarm_tui.cli import main

sys.exit(main())
