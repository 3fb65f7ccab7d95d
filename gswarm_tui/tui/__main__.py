"""``python -m gswarm_tui.tui``."""

import sys

from gswarm_tui.tui.main import main

sys.exit(main())
