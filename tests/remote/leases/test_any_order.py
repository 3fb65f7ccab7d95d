"""Leases under any sequence of asking, dropping, cancelling and losing connections."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from gswarm_remote.leases import leases as module
from gswarm_remote.leases.leases import Leases
from gswarm_remote.leases.wants import Want
from gswarm_remote.operations import OperationTable
from gswarm_remote.rpc import Call
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .test_leases import Caller

LOCKS = ("gpu0", "gpu1", "gpu2")

wants = st.dictionaries(st.sampled_from(LOCKS), st.booleans(), min_size=1).map(
    lambda chosen: tuple(Want(n, None, shared, f"{n}.lock") for n, shared in chosen.items())
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 1), wants),
        st.tuples(st.sampled_from(["drop", "cancel", "lose"]), st.integers(0, 9), st.none()),
    ),
    min_size=1,
    max_size=25,
)


class Asker:
    """One task at one of two helpers."""

    def __init__(self, number: int, helper: Leases, wanted: tuple[Want, ...]) -> None:
        self.task = f"t{number}"
        self.helper = helper
        self.caller = Caller()
        call = cast("Call", self.caller)
        self.asking = asyncio.ensure_future(helper.take(call, self.task, wanted, {"job": number}))

    async def step(self, verb: str) -> None:
        if verb == "drop":
            self.helper.drop(self.task)
        elif verb == "cancel" and not self.asking.done():
            self.asking.cancel()
        elif verb == "lose":
            self.caller.lose()
            self.asking.cancel()


def held(helpers: list[Leases]) -> dict[str, list[bool]]:
    """For each thing that is held, whether each holder shares it."""
    found: dict[str, list[bool]] = {}
    for helper in helpers:
        for lease in helper.list():
            found.setdefault(lease["what"], []).append(lease["shared"])
    return found


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_POLL_S", 0.001)
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("GSWARM_LEASE_DIR", str(Path(folder) / "leases"))
        yield


async def drive(sequence: list[tuple[str, int, Any]]) -> None:
    helpers = [Leases(OperationTable(), grace_s=0.002) for _ in range(2)]
    askers: list[Asker] = []
    for verb, number, wanted in sequence:
        if verb == "take":
            askers.append(Asker(len(askers), helpers[number], wanted))
        elif number < len(askers):
            await askers[number].step(verb)
        await asyncio.sleep(0)
        for what, sharing in held(helpers).items():
            assert len(sharing) == 1 or all(sharing), what
    # Whoever still waits has its turn as soon as the others are done.
    deadline = asyncio.get_running_loop().time() + 30
    while any(len(helper) for helper in helpers):
        for what, sharing in held(helpers).items():
            assert len(sharing) == 1 or all(sharing), what
        for helper in helpers:
            for lease in helper.list():
                helper.drop(lease["task"])
        await asyncio.sleep(0.001)
        assert asyncio.get_running_loop().time() < deadline
    await asyncio.gather(*(asker.asking for asker in askers), return_exceptions=True)
    for helper in helpers:
        await helper.close()
    left = Path(os.environ["GSWARM_LEASE_DIR"])
    assert not left.exists() or list(left.iterdir()) == []


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps)
def test_nothing_is_held_by_two_and_everybody_has_a_turn(sequence: Any) -> None:
    asyncio.run(drive(sequence))
