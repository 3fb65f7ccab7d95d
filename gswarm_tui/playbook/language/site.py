"""What a playbook can ask of the inventory, and what it can know of devices without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from gswarm_tui import devices
from gswarm_tui.devices import Device
from gswarm_tui.errors import DeviceError
from gswarm_tui.inventory import Inventory
from gswarm_tui.playbook.language.expressions import ExpressionError

A_NODE: Final = "a-node"
"""What stands for the nodes of a pattern where only shapes are checked."""


@final
@dataclass(frozen=True, slots=True)
class Site:
    """The fleet as plans see it.

    Args:
        inventory: None where only shapes are checked.
    """

    inventory: Inventory | None

    def device(self, text: str) -> Device:
        """Read a device; with an inventory, by its node's own name.

        Raises:
            DeviceError: it is none, or it is not in the inventory.
        """
        return devices.parse(text) if self.inventory is None else self.inventory.device(text)

    def nodes(self, pattern: str) -> list[str]:
        """The names of the nodes that ``${nodes.PATTERN}`` is; without an inventory, `A_NODE`.

        Raises:
            ExpressionError: the pattern names none.
        """
        if self.inventory is None:
            return [A_NODE]
        try:
            return [node.name for node in self.inventory.select(pattern)]
        except DeviceError as error:
            message = f"${{nodes.{pattern}}}: {error.message}"
            raise ExpressionError(message, hint=error.hint) from None
