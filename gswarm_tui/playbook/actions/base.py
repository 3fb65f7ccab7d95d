"""What every action type has: how it is written, and its one normal form.

`Written` is what stands in the YAML, with every spelling; its ``action`` method makes the `Action`,
in which each thing has one name. A new action type is one file with these two classes, and a line
in ``actions/__init__.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from gswarm_remote.errors import HelperError
from gswarm_remote.models.checks import check_name
from pydantic import BaseModel, ConfigDict, field_validator

from gswarm_tui.devices import DISK, Device
from gswarm_tui.playbook.expressions import Path
from gswarm_tui.progress import ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.outcome import Outcome

ParseDevice: TypeAlias = Callable[[str], Device]
"""Reads a device, its node by the node's own name.

Raises:
    DeviceError: it is none, or it is not in the inventory.
"""


class SpellingError(Exception):
    """What is written contradicts itself or makes no sense for the action type.

    Args:
        path: where, within the action.
    """

    def __init__(self, path: Path, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Use:
    """Something that an action touches while it runs.

    Args:
        key: two uses with the same key are of the same thing.
        does: what the action does, for a message: ``reads tiny on node1:disk``.
        exclusive: nobody else may touch it at the same time. Those that are not can share it.
    """

    key: tuple[str, ...]
    does: str
    exclusive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(ABC):
    """One action, normalised.

    Args:
        late: the fields whose expression has no value before the run, with the expression's text;
            the fields themselves hold an example of the right type until then.
    """

    action_id: str
    late: Mapping[str, str] = field(default_factory=dict, repr=False)

    result: ClassVar[type[Any]]
    """The dataclass that `run` returns: its fields are what ``${action_id.field}`` reads."""

    @abstractmethod
    def summary(self) -> str:
        """What it does where, in a line, without its type."""

    @abstractmethod
    def uses(self) -> Iterable[Use]:
        """What it touches: two actions that use one thing exclusively must be ordered."""

    def loads_on(self) -> Iterable[Device]:
        """The devices that it loads a model on: they have to be there before the run."""
        return ()

    def known(self) -> Mapping[str, Any]:
        """The fields of the result that are certain before it runs."""
        return {}

    @abstractmethod
    async def run(self, models: Models, *, progress: ProgressCallback) -> Any:
        """Do it; idempotent.

        Raises:
            GswarmError: it could not be done.
        """

    @abstractmethod
    def settle(self, result: Any, outcome: Outcome) -> None:
        """Note what is where after it has returned ``result``."""

    def shown(self, name: str, value: object) -> str:
        """A field as a user should see it: its expression while there is no value yet."""
        return self.late.get(name, str(value))


class Written(BaseModel):
    """An action as it stands in YAML. Keys that are not known are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    decides: ClassVar[frozenset[str]] = frozenset(
        {"model_name", "devices", "device", "source_device", "target_device", "keep_source"}
    )
    """The fields that decide what is touched where: they must have their value before the run."""

    action_id: str
    action_type: str
    dependencies: list[str] | None = None

    @abstractmethod
    def action(self, parse: ParseDevice, late: Mapping[str, str]) -> Action:
        """The normal form.

        Raises:
            SpellingError: what is written contradicts itself.
        """


class WrittenForModel(Written):
    """An action on one model."""

    model_name: str

    @field_validator("model_name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        try:
            return check_name(name)
        except HelperError as error:
            raise ValueError(f"{error.message}: {error.hint}") from None


def copy_of(model: str, device: Device, verb: str, *, exclusive: bool) -> Use:
    """A use of a model's files on a disk or in memory, or of its engine on a GPU."""
    return Use(("copy", model, str(device)), f"{verb} {model} on {device}", exclusive)


def service_of(model: str, device: Device, verb: str) -> Use:
    """A use of the service of a model on a device; nobody shares it."""
    does = f"{verb} the service of {model} on {device}"
    return Use(("service", model, str(device)), does, exclusive=True)


def all_services_of(model: str, verb: str, *, exclusive: bool) -> Use:
    return Use(("services", model), f"{verb} of {model}", exclusive)


def removal_of(model: str, device: Device) -> Iterator[Use]:
    """The uses of taking a model from a device; in memory, services end with the engine."""
    yield copy_of(model, device, "removes", exclusive=True)
    if device.tier != DISK:
        yield service_of(model, device, "ends")
        yield all_services_of(model, "ends a service", exclusive=False)


def listed(devices: Sequence[Device]) -> str:
    return ", ".join(str(device) for device in devices)
