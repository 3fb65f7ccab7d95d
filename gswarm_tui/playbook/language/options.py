"""The keys that every action has: how it is run, whatever it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.config import JsonDict

from gswarm_tui import durations
from gswarm_tui.errors import KINDS
from gswarm_tui.nearest import did_you_mean
from gswarm_tui.state.states import Priority

STOP: Final = "stop"
CONTINUE: Final = "continue"
OnFailure: TypeAlias = Literal["stop", "continue"]

BACKOFF_S: Final = 1.0
MAX_BACKOFF_S: Final = 60.0
MAX_ATTEMPTS: Final = 100

OWN_TIMEOUT_MARGIN_S: Final = 30.0
"""What an action that watches its own ``timeout`` gets on top, to say itself what was late."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often an action is tried.

    Args:
        attempts: in all, the first included.
        backoff_s: how long after the first failure the second attempt begins; doubled each time.
        max_backoff_s: the longest that it waits.
        on: words of `gswarm_tui.errors.KINDS`; None is every error that can pass.
    """

    attempts: int
    backoff_s: float = BACKOFF_S
    max_backoff_s: float = MAX_BACKOFF_S
    on: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """How an action is run. None leaves it to the playbook, and then to the configuration.

    Args:
        timeout_s: the limit of one attempt.
        on_failure: ``stop`` ends the job, ``continue`` lets what needs the action go on.
        always: it runs after all others have ended, whatever happened.
        when: its condition as it is written; `Plan.decide` says whether it holds.
    """

    priority: Priority | None = None
    timeout_s: float | None = None
    retry: Retry | None = None
    on_failure: OnFailure | None = None
    always: bool = False
    when: str | None = None


def read_priority(written: object) -> object:
    """The priority of that word.

    Raises:
        ValueError: there is none.
    """
    if written is None or isinstance(written, Priority):
        return written
    if isinstance(written, str) and written in list(Priority):
        return Priority(written)
    nearest = did_you_mean(str(written), Priority)
    raise ValueError(f"{written!r:.60} is no priority: they are {', '.join(Priority)}{nearest}")


def _read_kind(written: object) -> object:
    if isinstance(written, str) and written not in KINDS:
        nearest = did_you_mean(written, KINDS)
        kinds = ", ".join(KINDS)
        raise ValueError(f"{written!r:.60} is no kind of error: they are {kinds}{nearest}")
    return written


WrittenPriority = Annotated[Priority, BeforeValidator(read_priority)]
_Kind = Annotated[str, BeforeValidator(_read_kind), WithJsonSchema({"enum": list(KINDS)})]

_TIME_TEXT: Final[JsonDict] = {"type": "string", "pattern": durations.PATTERN}
_DELAY_SCHEMA: Final[JsonDict] = {"anyOf": [{"type": "number", "minimum": 0}, _TIME_TEXT]}
LIMIT_SCHEMA: Final[JsonDict] = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _TIME_TEXT]}

Delay = Annotated[float, BeforeValidator(durations.parse), WithJsonSchema(_DELAY_SCHEMA)]
"""A field that holds seconds, written in any way that `gswarm_tui.durations` reads."""

Limit = Annotated[float, BeforeValidator(durations.parse_limit), WithJsonSchema(LIMIT_SCHEMA)]
"""The same of how long something may take, which is never zero."""


class WrittenRetry(BaseModel):
    """``retry`` as a mapping."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    attempts: int = Field(ge=1, le=MAX_ATTEMPTS, description="How often in all.")
    backoff: Delay = Field(
        default=BACKOFF_S, description="The time before the second attempt; doubled each time."
    )
    max_backoff: Delay = Field(
        default=MAX_BACKOFF_S, description="The longest time between two attempts."
    )
    on: list[_Kind] | None = Field(
        default=None, description="The kinds of errors; without it, all that are transient."
    )


def read_retry(written: int | WrittenRetry | None) -> Retry | None:
    """The normal form of ``retry``."""
    if written is None:
        return None
    if isinstance(written, int):
        return Retry(written)
    on = None if written.on is None else frozenset(written.on)
    return Retry(written.attempts, written.backoff, max(written.backoff, written.max_backoff), on)
