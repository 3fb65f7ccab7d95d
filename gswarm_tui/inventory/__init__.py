"""The inventory: which nodes there are, and how each is reached and used.

`finding` decides which file is read, `file` says what it may contain, `reading` what it means, and
`cache` keeps the result. Only `file` and `reading` need pydantic and YAML, and they are imported
only when the file has changed.
"""

from gswarm_tui.inventory.finding import load as load
from gswarm_tui.inventory.inventory import Inventory as Inventory
from gswarm_tui.inventory.nodespec import NodeSpec as NodeSpec
