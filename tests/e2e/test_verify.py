"""A file that rots on a real node: found by a job of the screens, told of, and mended."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gswarm_tui import inventory
from gswarm_tui.cli import main
from gswarm_tui.cli.context import Settings
from gswarm_tui.fleet import TASK, Fleet
from gswarm_tui.models import Models
from gswarm_tui.models.results import VerifyResult
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.models import Registry
from gswarm_tui.state.records import JobRecord, TaskRecord
from gswarm_tui.tui import placing
from gswarm_tui.tui.acting import CommandLine, Proposal
from gswarm_tui.watch.snapshot import Copy

SIZE = 3_000_000
WEIGHTS = "model.safetensors"
PLACES = ("one:disk", "two:disk")


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    file = tmp_path / "inventory.yaml"
    lines = [f"  {name}: {{connection: local, root: {tmp_path / name}}}" for name in ("one", "two")]
    file.write_text("\n".join(["nodes:", *lines, ""]))
    found = Settings(data_dir=tmp_path / "data", inventory_path=file)
    yield found
    gswarm(found, "down")


def gswarm(settings: Settings, *words: str) -> str:
    """What a command prints; it must succeed."""
    before = ["-i", str(settings.inventory_path), "--data-dir", str(settings.data_dir)]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([*before, *words]) == 0, words
    return out.getvalue()


@pytest.fixture
def model(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / WEIGHTS).write_bytes(bytes(range(256)) * (SIZE // 256))
    gswarm(settings, "model", "download", "m", "--source", f"local:{folder}", "--device", PLACES[0])
    gswarm(settings, "model", "copy", "m", "--from", PLACES[0], "--to", PLACES[1])


def copies(settings: Settings) -> dict[str, Copy]:
    """Those of the model, by device."""
    found = json.loads(gswarm(settings, "model", "info", "m", "--json"))["copies"]
    return {
        each["device"]: Copy(
            *("m", each["revision"], each["device"], each["state"], each["size"]),
            bad_files=len(each["damaged"]),
        )
        for each in found
    }


def rot(settings: Settings, node: str) -> None:
    """Turn a bit, and leave size and times alone, as a disk does."""
    (file,) = (Path(str(settings.inventory_path)).parent / node / "models").glob(f"m/*/{WEIGHTS}")
    with file.open("r+b") as opened:
        opened.seek(SIZE // 2)
        byte = opened.read(1)
        opened.seek(SIZE // 2)
        opened.write(bytes([byte[0] ^ 1]))


async def ended(settings: Settings, number: int | None) -> tuple[JobRecord, TaskRecord]:
    with Database(settings.home().database) as database:
        jobs = Jobs(database)
        async with asyncio.timeout(60):
            while (job := jobs.get(number or 0)) is None or job.finished_at is None:
                await asyncio.sleep(0.05)
        (task,) = jobs.tasks(job.id)
        return job, task


async def verify(settings: Settings) -> tuple[Proposal, JobRecord, TaskRecord]:
    """What the key `V` does for all copies."""
    actor = CommandLine(settings)
    known = await asyncio.to_thread(copies, settings)
    proposal = await actor.propose(placing.verify(list(known.values())))
    done = await actor.carry_out(proposal)
    return proposal, *await ended(settings, done.job)


@pytest.mark.usefixtures("model")
async def test_a_file_that_rots_is_found_told_and_mended(settings: Settings) -> None:
    proposal, job, task = await verify(settings)
    assert proposal.deed.title == "verify m on one:disk, two:disk"
    assert proposal.plan[1:3] == ("  reads 3.0 MB on one:disk", "  reads 3.0 MB on two:disk")
    assert (job.state, job.exit_code) == ("succeeded", 0)
    result: Any = task.result
    assert (result["ok"], [copy["bad"] for copy in result["copies"]]) == (True, [{}, {}])

    rot(settings, "two")
    _, job, task = await verify(settings)
    assert (job.state, job.exit_code, task.error_kind) == ("failed", 1, "mismatch")
    assert str(task.error).startswith(f"m on two:disk is damaged: {WEIGHTS} (its sha256 is ")
    assert task.hint == ("to repair two:disk: gswarm model copy m --from one:disk --to two:disk")
    seen = await asyncio.to_thread(copies, settings)
    assert [(seen[place].state, seen[place].bad_files) for place in PLACES] == [
        ("ready", 0),
        ("damaged", 1),
    ]

    words = shlex.split(task.hint.partition(": ")[2])
    await asyncio.to_thread(gswarm, settings, *words[1:])
    _, job, _ = await verify(settings)
    assert job.state == "succeeded"
    seen = await asyncio.to_thread(copies, settings)
    assert {copy.state for copy in seen.values()} == {"ready"}


@pytest.mark.usefixtures("model")
async def test_what_a_task_has_read_is_told_again_to_who_resumes_it(settings: Settings) -> None:
    nodes, home = inventory.load(settings.inventory_path), settings.home()
    found: list[VerifyResult] = []
    for key in ("j/a/1", "j/a/1", "j/a/2"):
        with Database(home.database) as database:
            async with Fleet(nodes, home) as fleet:
                token = TASK.set(key)
                found.append(await Models(fleet, Registry(database)).verify("m"))
                TASK.reset(token)
        if len(found) == 1:
            rot(settings, "two")
    assert [result.damaged for result in found] == [[], [], ["two:disk"]]
