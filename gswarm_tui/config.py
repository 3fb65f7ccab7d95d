"""The user's settings: ``config.yaml`` in the data directory, overridden by the environment.

A setting is taken from ``$GSWARM_SECTION_KEY`` (``$GSWARM_QUEUE_TASK_TIMEOUT``), else from the
file, else it is the default of its section's class.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, final

from gswarm_tui import durations
from gswarm_tui.errors import UsageError
from gswarm_tui.home import Home
from gswarm_tui.nearest import did_you_mean
from gswarm_tui.sizes import parse_size

if TYPE_CHECKING:
    from gswarm_tui.yamlfile import Document

OTHER_SECTIONS: Final = ("cluster", "profiling", "models", "nodes")
"""Sections of the first design's file that may stand in it and are not read from it."""


@final
@dataclass(frozen=True, slots=True)
class QueueConfig:
    """How much is done at once, how long it may take, and how often it is tried.

    Args:
        max_concurrent_tasks: tasks that run at once, in all jobs of this data directory.
        max_tasks_per_node: of these, on one node.
        max_transfers_per_node: downloads and copies at once on one node.
        task_timeout_s: seconds for one attempt of a task that says nothing itself; None: no limit.
        job_timeout_s: seconds for a job whose playbook says nothing itself; None: no limit.
        retry_count: how often a task is tried again after an error that can pass.
        retry_backoff_s: the delay before the first retry; it doubles with each one.
        retry_max_backoff_s: the longest delay.
    """

    max_concurrent_tasks: int = 128
    max_tasks_per_node: int = 8
    max_transfers_per_node: int = 4
    task_timeout_s: float | None = None
    job_timeout_s: float | None = None
    retry_count: int = 3
    retry_backoff_s: float = 1.0
    retry_max_backoff_s: float = 60.0


@final
@dataclass(frozen=True, slots=True)
class Retention:
    """How long the history of jobs is kept; what is beyond any of the three is removed.

    Args:
        days: since a job ended.
        jobs: how many ended jobs are kept, the newest.
        size: bytes of the database and the logs together.
    """

    days: int = 90
    jobs: int = 1000
    size: int = 1_000_000_000


THEMES: Final = ("dark", "light", "ansi")
"""The themes of `gswarm-tui`."""


@final
@dataclass(frozen=True, slots=True)
class TuiConfig:
    """How `gswarm-tui` looks, and its keys.

    Args:
        theme: one of `THEMES`; None leaves it to what the terminal can show.
        keys: the keys of actions, by the action's name as the help screen has it, with dashes:
            ``{"go-to": "ctrl+g"}``. Of several keys, with commas between them, each counts.
        key_places: where each of these actions is named: ``file:line:column``, or the variable.
    """

    theme: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    key_places: Mapping[str, str] = field(default_factory=dict, compare=False)


@final
@dataclass(frozen=True, slots=True)
class Config:
    """All settings."""

    queue: QueueConfig = QueueConfig()
    retention: Retention = Retention()
    tui: TuiConfig = TuiConfig()


@dataclass(frozen=True, slots=True)
class Setting:
    """One key that can be set.

    Args:
        field: its name in the dataclass of its section.
        read: from what was written to the value; raises ValueError with a sentence.
    """

    section: str
    key: str
    field: str
    read: Callable[[Any], Any]

    @property
    def variable(self) -> str:
        """The environment variable that goes before the file."""
        return f"GSWARM_{self.section}_{self.key}".upper()


def _count(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, str) and value.strip().isdecimal():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"expected a whole number of at least {least}, found {value!r}")
        return value

    return read


def _limit(value: Any) -> float | None:
    """A length of time above zero; nothing after the colon is no limit."""
    return None if value is None else durations.parse_limit(value)


def _size(value: Any) -> int:
    if not isinstance(value, str | int):
        raise ValueError(f"expected an amount of bytes such as 500GB, found {value!r}")
    return parse_size(value)


def _theme(value: Any) -> str:
    if value not in THEMES:
        near = did_you_mean(str(value), THEMES)
        raise ValueError(f"expected one of {', '.join(THEMES)}, found {value!r}{near}")
    return str(value)


class _SomeWrongError(ValueError):
    """Some entries of a mapping are wrong; the others are looked at all the same."""

    def __init__(self, message: str, others: Mapping[str, str]) -> None:
        super().__init__(message)
        self.others = others


def _keys(value: Any) -> Mapping[str, str]:
    """A mapping of actions to keys; in the environment ``go-to=ctrl+g sort=s``."""
    if isinstance(value, str):
        value = dict(word.partition("=")[::2] for word in value.split())
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"expected a mapping such as {{go-to: ctrl+g}}, found {value!r}")
    wrong = {
        action: f"`{action}` needs the name of a key, such as ctrl+g, not {key!r}"
        for action, key in value.items()
        if not isinstance(key, str | int) or isinstance(key, bool) or not str(key).strip()
    }
    others = {str(a): str(key).strip() for a, key in value.items() if a not in wrong}
    if wrong:
        raise _SomeWrongError("; ".join(wrong.values()), others)
    return others


SETTINGS: Final = (
    Setting("queue", "max_concurrent_tasks", "max_concurrent_tasks", _count(1)),
    Setting("queue", "max_tasks_per_node", "max_tasks_per_node", _count(1)),
    Setting("queue", "max_transfers_per_node", "max_transfers_per_node", _count(1)),
    Setting("queue", "task_timeout", "task_timeout_s", _limit),
    Setting("queue", "job_timeout", "job_timeout_s", _limit),
    Setting("queue", "retry_count", "retry_count", _count(0)),
    Setting("queue", "retry_backoff", "retry_backoff_s", durations.parse),
    Setting("queue", "retry_max_backoff", "retry_max_backoff_s", durations.parse),
    Setting("retention", "days", "days", _count(1)),
    Setting("retention", "jobs", "jobs", _count(1)),
    Setting("retention", "size", "size", _size),
    Setting("tui", "theme", "theme", _theme),
    Setting("tui", "keys", "keys", _keys),
)
_SECTIONS = tuple(dict.fromkeys(setting.section for setting in SETTINGS))

_Values = dict[tuple[str, str], Any]
"""Values by section and field."""

Mistakes = list[tuple[str, str]]
"""``file:line:column``, or the variable, and a sentence."""


def load(
    home: Home,
    environ: Mapping[str, str] | None = None,
    wrong_keys: Callable[[TuiConfig], tuple[Mistakes, str | None]] | None = None,
) -> Config:
    """The settings of a data directory.

    Args:
        environ: the process's own by default; an empty variable counts as not set.
        wrong_keys: what is wrong with the keys of actions, and a hint; whoever shows the actions
            knows.

    Raises:
        UsageError: the file cannot be read, is no YAML, or has unknown keys or wrong values, or a
            variable has a wrong value: all of them, each with its place.
    """
    values: _Values = {}
    mistakes: Mistakes = []
    if home.config.exists():
        from gswarm_tui.yamlfile import load_yaml

        values |= _from_file(load_yaml(home.config), mistakes)
    values |= _from_environment(os.environ if environ is None else environ, mistakes)

    def of(section: str) -> dict[str, Any]:
        return {field: value for (its, field), value in values.items() if its == section}

    tui, hint = TuiConfig(**of("tui")), None
    if wrong_keys is not None:
        more, hint = wrong_keys(tui)
        mistakes += more
    refuse(mistakes, hint)
    return Config(QueueConfig(**of("queue")), Retention(**of("retention")), tui)


def refuse(mistakes: Mistakes, hint: str | None = None) -> None:
    """Say all mistakes at once.

    Raises:
        UsageError: there are some.
    """
    if mistakes:
        (where, first), *others = mistakes
        lines = [f"{place}: {message}" for place, message in others]
        raise UsageError("\n".join([first, *lines]), where=where, hint=hint)


def _from_environment(environ: Mapping[str, str], mistakes: Mistakes) -> _Values:
    values: _Values = {}
    for setting in SETTINGS:
        text = environ.get(setting.variable, "").strip()
        if text:
            try:
                values[setting.section, setting.field] = setting.read(text)
            except ValueError as error:
                mistakes.append((f"${setting.variable}", str(error)))
                continue
            if setting.field == "keys":
                read = values[setting.section, setting.field]
                values[setting.section, "key_places"] = dict.fromkeys(read, f"${setting.variable}")
    return values


def _from_file(document: Document, mistakes: Mistakes) -> _Values:
    values: _Values = {}
    mistakes += _unknown_keys(document)
    sections = document.data if isinstance(document.data, dict) else {}
    for setting in SETTINGS:
        section = sections.get(setting.section)
        if not isinstance(section, dict) or setting.key not in section:
            continue
        try:
            values[setting.section, setting.field] = setting.read(section[setting.key])
        except ValueError as error:
            where = document.position((setting.section, setting.key))
            mistakes.append((where, f"{setting.section}.{setting.key}: {error}"))
            if isinstance(error, _SomeWrongError):
                values[setting.section, setting.field] = error.others
    if ("tui", "keys") in values:
        values["tui", "key_places"] = {
            action: document.key_position(("tui", "keys", action))
            for action in values["tui", "keys"]
        }
    return values


def _unknown_keys(document: Document) -> Iterator[tuple[str, str]]:
    """``file:line:column`` and the sentence of each key that is none, and of what is no mapping."""
    if document.data is None:
        return
    if not isinstance(document.data, dict):
        known = ", ".join(_SECTIONS)
        yield document.position(()), f"expected a mapping of sections: {known}"
        return
    for name, section in document.data.items():
        if name in OTHER_SECTIONS:
            continue
        if name not in _SECTIONS:
            yield document.key_position((name,)), _unknown(name, (*_SECTIONS, *OTHER_SECTIONS))
        elif section is not None and not isinstance(section, dict):
            yield document.position((name,)), f"{name}: expected a mapping"
        else:
            keys = [setting.key for setting in SETTINGS if setting.section == name]
            for key in section or ():
                if key not in keys:
                    where = document.key_position((name, key))
                    yield where, f"{name}: {_unknown(key, keys)}"


def _unknown(key: str, known: tuple[str, ...] | list[str]) -> str:
    suggestion = did_you_mean(key, known) or f"; known here: {', '.join(known)}"
    return f"unknown key `{key}`{suggestion}"
