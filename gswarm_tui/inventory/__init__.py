"""The inventory: which nodes there are, and how each is reached and used.

`finding` says which file counts, `cache` keeps what came of reading it, `reading` knows what it
means, and `file` what it can say: only these two need pydantic and YAML, and only when the file is
not the one of last time.
"""

from gswarm_tui.inventory.finding import load as load
from gswarm_tui.inventory.inventory import Inventory as Inventory
from gswarm_tui.inventory.nodespec import NodeSpec as NodeSpec
