"""Actions that would disturb each other, with nothing to say which is first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, TypeAlias

from gswarm_tui.playbook.actions import Action
from gswarm_tui.playbook.actions.base import Use

MAX_FOUND: Final = 1000


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two actions that must be ordered and are not."""

    one: str
    its_use: Use
    other: str
    other_use: Use


_User: TypeAlias = tuple[str, Use]


def find(
    actions: Mapping[str, Action],
    *,
    key: Callable[[str], int],
    is_ordered: Callable[[str, str], bool],
) -> Iterator[Conflict]:
    """The conflicts between actions, `MAX_FOUND` at most.

    Args:
        actions: those to look at, by id, in the order in which they are told of.
        key: sorts ids, each after what it needs.
        is_ordered: whether one of two runs after the other; asked for those in `contested` only.
    """
    found: set[tuple[str, str]] = set()
    for users in _shared(actions).values():
        if _are_ordered(sorted(users, key=lambda user: key(user[0])), is_ordered):
            continue
        for (one, its_use), (other, other_use) in combinations(users, 2):
            harmless = not (its_use.exclusive or other_use.exclusive)
            if harmless or one == other or (one, other) in found:
                continue
            if not is_ordered(one, other):
                found.add((one, other))
                yield Conflict(one, its_use, other, other_use)
                if len(found) >= MAX_FOUND:
                    return


def contested(actions: Mapping[str, Action]) -> set[str]:
    """The actions that use something that somebody uses exclusively: whose order matters."""
    return {name for users in _shared(actions).values() for name, _ in users}


def _shared(actions: Mapping[str, Action]) -> Mapping[tuple[str, ...], list[_User]]:
    """Who uses what, of the things where it matters."""
    users: dict[tuple[str, ...], list[_User]] = defaultdict(list)
    for name, action in actions.items():
        for use in action.uses():
            if use.must_be_ordered:
                users[use.key].append((name, use))
    return {
        key: found
        for key, found in users.items()
        if len(found) > 1 and any(use.exclusive for _, use in found)
    }


def _are_ordered(users: Sequence[_User], is_ordered: Callable[[str, str], bool]) -> bool:
    """Whether all is well with one thing: a look at neighbours is enough, as order is transitive.

    Args:
        users: each after those that it needs.
    """
    last: str | None = None
    since: list[str] = []  # those that share it after the last one that had it alone
    for name, use in users:
        before = [*since, last] if use.exclusive else [last]
        if any(one not in (None, name) and not is_ordered(one, name) for one in before):
            return False
        if use.exclusive:
            last, since = name, []
        else:
            since.append(name)
    return True
