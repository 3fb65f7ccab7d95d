"""What every action type has: how it is written, and its one normal form.

`Written` is what stands in the YAML, with every spelling; its ``action`` method makes the `Action`,
in which each thing has one name. A new action type is one file with these two classes, and a line
in ``actions/__init__.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias

from gswarm_remote.errors import HelperError
from gswarm_remote.models.checks import check_name
from pydantic import BaseModel, ConfigDict, Field, field_validator

from gswarm_tui.devices import DISK, DRAM, Device
from gswarm_tui.playbook.check.finding import Finding, Verdict
from gswarm_tui.playbook.language.expressions import Path
from gswarm_tui.playbook.language.options import (
    MAX_ATTEMPTS,
    OWN_TIMEOUT_MARGIN_S,
    Limit,
    OnFailure,
    Options,
    WrittenPriority,
    WrittenRetry,
    read_retry,
)
from gswarm_tui.progress import ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.check.expected import Expected
    from gswarm_tui.playbook.outcome import Outcome

ParseDevice: TypeAlias = Callable[[str], Device]
"""Reads a device, its node by the node's own name.

Raises:
    DeviceError: it is none, or it is not in the inventory.
"""


NETWORK = "network"
"""The kind of `Use` that is a slot of a node's network."""
DEVICE = "device"
"""The kind of `Use` that is a GPU while an engine comes or goes there."""


_TIERS_IN_WORDS = {DISK: "the disk", DRAM: "the memory"}


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

    @property
    def must_be_ordered(self) -> bool:
        """Whether a playbook has to say who is first: not where the second one can simply wait."""
        return self.key[0] not in (DEVICE, NETWORK)

    @property
    def label(self) -> str:
        """What is waited for where somebody else has it: ``node1:gpu0``, ``port 80 of node1``."""
        match self.key:
            case ("copy", model, device):
                return f"{model} on {device}"
            case ("service", model, device):
                return f"the service of {model} on {device}"
            case ("services", model):
                return f"the services of {model}"
            case ("port", node, port):
                return f"port {port} of {node}"
            case ("network", node):
                return f"the network of {node} (queue.max_transfers_per_node)"
            case _:
                return self.key[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(ABC):
    """One action, normalised.

    Args:
        late: the fields whose expression has no value before the run, with the expression's text;
            the fields themselves hold an example of the right type until then.
        hidden: the fields that hold a secret, with the expression's text.
    """

    action_id: str
    late: Mapping[str, str] = field(default_factory=dict, repr=False)
    hidden: Mapping[str, str] = field(default_factory=dict, repr=False)

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

    def sentence(self) -> str:
        """What it does where, as a part of a sentence: ``downloads … to …``."""
        return self.summary()

    async def compare(self, expected: Expected) -> Finding:
        """What it would come to, if it ran now; ``expected`` then is as if it had.

        Raises:
            Unknowable: it cannot be told before the run.
            GswarmError: it would fail with this.
        """
        return Finding(Verdict.WOULD_DO)

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
        """A field as a user should see it: its expression while there is no value yet, or where
        the value is a secret."""
        return self.hidden.get(name) or self.late.get(name, str(value))


class Written(BaseModel):
    """An action as it stands in YAML. Keys that are not known are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    decides: ClassVar[frozenset[str]] = frozenset(
        {"model_name", "devices", "device", "source_device", "target_device", "keep_source"}
        | {"priority", "timeout", "retry", "on_failure"}
    )
    """The fields that decide what is touched where and how it is run: they must have their value
    before the run."""

    takes_secrets: ClassVar[frozenset[str]] = frozenset()
    """The fields in which ``${secrets.name}`` may stand. Their values are never shown: a type that
    has some keeps them out of its summary, and out of its `repr`."""

    own_timeout: ClassVar[bool] = False
    """Whether the action itself ends its work after ``timeout``, and says what was late."""

    action_id: str = Field(description="Its name in the playbook.")
    action_type: str = Field(description="What it does.")
    dependencies: list[str] | None = Field(
        default=None, description="The actions that must have succeeded before it begins."
    )
    when: bool | str | None = Field(
        default=None, description="It is skipped where this is false: a condition."
    )
    for_each: str | list[Any] | dict[str, Any] | None = Field(
        default=None, description="It is there once for each item of a list; ${each.value} is it."
    )
    on_failure: OnFailure | None = Field(
        default=None,
        description="stop: its failure ends the job; continue: what needs it runs all the same.",
    )
    timeout: Limit | None = Field(default=None, description="The longest that it may take.")
    retry: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)] | WrittenRetry | None = Field(
        default=None, description="How often it is tried if it fails with a transient error."
    )
    priority: WrittenPriority | None = Field(
        default=None, description="Which of those that could run begins first."
    )

    @abstractmethod
    def action(self, parse: ParseDevice, late: Mapping[str, str]) -> Action:
        """The normal form.

        Raises:
            SpellingError: what is written contradicts itself.
        """

    def options(self, *, always: bool) -> Options:
        """How it is run. ``when`` is as it is written; the rest has its values."""
        timeout_s = self.timeout if "timeout" in self.model_fields_set else None
        if timeout_s is not None and self.own_timeout:
            timeout_s += OWN_TIMEOUT_MARGIN_S
        return Options(
            priority=self.priority,
            timeout_s=timeout_s,
            retry=read_retry(self.retry),
            on_failure=self.on_failure,
            always=always,
            when=None if self.when is None else _as_written(self.when),
        )


def _as_written(when: bool | str) -> str:
    return when if isinstance(when, str) else str(when).lower()


class WrittenForModel(Written):
    """An action on one model."""

    model_name: str = Field(description="The name that the model is registered under.")

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


def gpu_of(device: Device, verb: str) -> Iterator[Use]:
    """The use of a GPU while an engine comes or goes there; nothing for another device."""
    if device.is_gpu:
        yield Use((DEVICE, str(device)), f"{verb} {device}", exclusive=True)


def network_of(node: str | None) -> Use:
    """A slot of a node's network, which a download or a copy between nodes takes."""
    return Use((NETWORK, str(node)), f"transfers to {node}", exclusive=False)


def removal_of(model: str, device: Device) -> Iterator[Use]:
    """The uses of taking a model from a device; in memory, services end with the engine."""
    yield copy_of(model, device, "removes", exclusive=True)
    yield from gpu_of(device, "frees")
    if device.tier != DISK:
        yield service_of(model, device, "ends")
        yield all_services_of(model, "ends a service", exclusive=False)


def listed(devices: Sequence[Device]) -> str:
    return ", ".join(str(device) for device in devices)


def described(devices: Sequence[Device]) -> str:
    """Devices in words: ``the disk of node1 and GPU 0 and 1 of node2``."""
    parts: dict[str, list[str]] = {}
    for device in devices:
        parts.setdefault(str(device.node), []).append(
            _TIERS_IN_WORDS.get(device.tier, f"GPU {device.index}")
        )
    return " and ".join(f"{_joined(names)} of {node}" for node, names in parts.items())


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
