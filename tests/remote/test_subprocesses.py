"""Processes that are given up while they start."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE
from pathlib import Path

import psutil
import pytest
from gswarm_remote import subprocesses


@pytest.mark.parametrize("steps", range(6))
async def test_who_gives_up_leaves_nothing_and_waits_for_nothing(
    steps: int, tmp_path: Path
) -> None:
    script = tmp_path / "sleeps"
    script.write_text(f"sh -c 'sleep 60; : {tmp_path}'; true\n")
    starting = asyncio.create_task(
        subprocesses.start(
            *("/bin/sh", str(script)), stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
    )
    for _ in range(steps):
        await asyncio.sleep(0)
    assert not starting.done()
    starting.cancel()
    async with asyncio.timeout(20):
        with pytest.raises(asyncio.CancelledError):
            await starting
    words = [each.info["cmdline"] or [] for each in psutil.process_iter(["cmdline"])]
    assert not [line for line in words if any(str(tmp_path) in word for word in line)]


async def test_one_that_is_wanted_is_started() -> None:
    process = await subprocesses.start("/bin/sh", "-c", "echo here", stdout=PIPE)
    out, _ = await process.communicate()
    assert (out, process.returncode) == (b"here\n", 0)
