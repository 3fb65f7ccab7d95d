"""What may run next, what is skipped, and when all is over: the tasks of a job as a graph.

Nothing here waits, asks or writes. `always` tasks are a second graph, which begins when the first
one is over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from gswarm_tui.state.states import ENDED, State


@dataclass(frozen=True, slots=True)
class Vertex:
    """A task as the graph knows it.

    Args:
        needs: the tasks that must have ended well before it begins.
        always: it runs after all others, however they ended.
        tolerant: its failure does not keep those from running that need it.
    """

    name: str
    needs: tuple[str, ...]
    always: bool = False
    tolerant: bool = False


@final
class Dag:
    """The tasks of one run. Tell it how each ended with `settle`; it says what that means.

    Args:
        vertices: in an order in which each comes after what it needs.
    """

    def __init__(self, vertices: Sequence[Vertex]) -> None:
        self._vertices: Final = {vertex.name: vertex for vertex in vertices}
        self._dependents: dict[str, list[str]] = {name: [] for name in self._vertices}
        self._missing: dict[str, int] = {}
        for vertex in vertices:
            needs = self._own_needs(vertex)
            self._missing[vertex.name] = len(needs)
            for needed in needs:
                self._dependents[needed].append(vertex.name)
        self._open = {False: 0, True: 0}
        for vertex in vertices:
            self._open[vertex.always] += 1
        self._ended: dict[str, State] = {}
        self._ready = [
            vertex.name
            for vertex in vertices
            if not vertex.always and not self._missing[vertex.name]
        ]
        self._begun_always = False

    @property
    def over(self) -> bool:
        """Whether every task has ended."""
        return not any(self._open.values())

    def ended(self, name: str) -> bool:
        return name in self._ended

    def take_ready(self) -> list[str]:
        """Tasks that may run and were not given out yet, in the order of the plan."""
        if not self._open[False] and not self._begun_always:
            self._begun_always = True
            self._ready += [
                vertex.name
                for vertex in self._vertices.values()
                if vertex.always and not self._missing[vertex.name] and not self.ended(vertex.name)
            ]
        # An `always` task may be there twice, where an earlier run had ended what it needs.
        ready, self._ready = dict.fromkeys(self._ready), []
        return [name for name in ready if not self.ended(name)]

    def settle(self, name: str, state: State, *, harmless: bool = False) -> list[tuple[str, str]]:
        """Note how a task ended; returns those that are skipped by it, each with the reason.

        They count as ended from now on.

        Args:
            harmless: it was skipped because nothing had to be done (its `when` is false).
        """
        assert state in ENDED
        if self.ended(name):
            return []
        self._end(name, state)
        tolerated = self._vertices[name].tolerant and state is State.FAILED
        if state is State.SUCCEEDED or harmless or tolerated:
            self._release(name)
            return []
        return list(self._skip_dependents(name, state))

    def drop(self, keep: Collection[str]) -> list[str]:
        """End every task that is not an `always` one and not in ``keep``; returns them."""
        dropped = [name for name in self.open_tasks(always=False) if name not in keep]
        for name in dropped:
            self._end(name, State.CANCELLED)
        return dropped

    def open_tasks(self, *, always: bool) -> list[str]:
        """Tasks that have not ended."""
        return [
            vertex.name
            for vertex in self._vertices.values()
            if vertex.always is always and not self.ended(vertex.name)
        ]

    def _own_needs(self, vertex: Vertex) -> list[str]:
        """An `always` task waits for all ordinary ones anyway, and does not ask how they ended."""
        return [n for n in vertex.needs if self._vertices[n].always is vertex.always]

    def _end(self, name: str, state: State) -> None:
        self._ended[name] = state
        self._open[self._vertices[name].always] -= 1

    def _release(self, name: str) -> None:
        for dependent in self._dependents[name]:
            self._missing[dependent] -= 1
            if not self._missing[dependent] and not self.ended(dependent):
                self._ready.append(dependent)

    def _skip_dependents(self, name: str, state: State) -> Iterator[tuple[str, str]]:
        said = "failed" if state is State.FAILED else f"was {state}"
        stack = [(dependent, name, said) for dependent in reversed(self._dependents[name])]
        while stack:
            dependent, needed, how = stack.pop()
            if self.ended(dependent):
                continue
            self._end(dependent, State.SKIPPED)
            yield dependent, f"needs {needed}, which {how}"
            following = reversed(self._dependents[dependent])
            stack += [(each, dependent, "was skipped") for each in following]
