"""The types that a variable can be declared with: ``name: {type: integer, default: 8080}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gswarm_remote.errors import HelperError
from gswarm_remote.models.checks import check_name
from pydantic import BaseModel, ConfigDict, Field

from gswarm_tui import devices
from gswarm_tui.errors import DeviceError
from gswarm_tui.playbook.language.expressions import Path

TYPE: Final = "type"
"""The key that makes a mapping the declaration of a variable, and not its default."""

DEVICE: Final = "device"
NODE: Final = "node"


class WrittenVariable(BaseModel):
    """A variable with its type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    type: str = Field(description="What its values are.")
    default: Any = Field(
        default=None, description="Its value where none is given; without it, one must be."
    )
    description: str | None = Field(default=None, description="What it is for.")
    choices: list[Any] | None = Field(
        default=None, min_length=1, description="The only values that it can have."
    )


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as it is declared.

    Args:
        default: None where a value must be given.
        kind: one of `KINDS`; None where it has only a default.
        path: where the default is in the document.
    """

    default: Any
    path: Path
    kind: str | None = None
    choices: tuple[Any, ...] = ()
    description: str | None = None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_device(value: Any) -> bool:
    try:
        devices.parse(value)
    except (DeviceError, TypeError):
        return False
    return True


def _is_node(value: Any) -> bool:
    return isinstance(value, str) and (devices.is_node_name(value) or devices.is_ipv6(value))


def _is_model(value: Any) -> bool:
    try:
        check_name(value)
    except HelperError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of variables.

    Args:
        words: what its values are, for a message.
        fits: whether a value is one.
        is_text: whether text of the command line is a value as it stands.
    """

    words: str
    fits: Callable[[Any], bool]
    is_text: bool


KINDS: Final[Mapping[str, Kind]] = {
    "text": Kind("text", lambda value: isinstance(value, str), is_text=True),
    "number": Kind("a number", _is_number, is_text=False),
    "integer": Kind("a whole number", _is_integer, is_text=False),
    "boolean": Kind("true or false", lambda value: isinstance(value, bool), is_text=False),
    "list": Kind("a list, such as [a, b]", lambda value: isinstance(value, list), is_text=False),
    DEVICE: Kind("a device, such as node1:disk", _is_device, is_text=True),
    NODE: Kind("the name of a node", _is_node, is_text=True),
    "model": Kind("the name of a model", _is_model, is_text=True),
}
"""The types by their word."""
