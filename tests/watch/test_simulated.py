from __future__ import annotations

import asyncio
import contextlib

import pytest

from gswarm_tui.state.states import State
from gswarm_tui.watch.series import GPU_SERIES, gpu_key, host_key
from gswarm_tui.watch.simulated import SimulatedSource
from gswarm_tui.watch.simulation import tasks
from gswarm_tui.watch.simulation.hostile import NASTY, disfigure
from gswarm_tui.watch.snapshot import Concern, FleetSnapshot, Gpu, GpuState, NodeState

NOW = 1_700_000_000.0


def fleet(**options: object) -> SimulatedSource:
    return SimulatedSource(clock=lambda: NOW, **options)  # type: ignore[arg-type]


def test_a_picture_follows_from_the_seed_and_the_time() -> None:
    one, other = fleet(), fleet()
    other.picture(NOW + 5000)  # whatever was asked for before
    assert one.picture(NOW + 77) == other.picture(NOW + 77)
    assert one.picture(NOW + 77) != one.picture(NOW + 78)
    assert one.picture(NOW) != fleet(seed=1).picture(NOW)


def test_it_has_a_bit_of_everything() -> None:
    picture = fleet().picture(NOW)
    assert len(picture.nodes) == 32
    assert {len(node.gpus) for node in picture.nodes} == {0, 8}
    assert {gpu.state for node in picture.nodes for gpu in node.gpus} == set(GpuState)
    assert {node.state for node in picture.nodes} == {NodeState.UP, NodeState.UNREACHABLE}
    assert {each.concern for each in picture.attention} == set(Concern) - {Concern.SILENT}
    copies = [copy for model in picture.models for copy in model.copies]
    assert {copy.device.partition(":")[2][:3] for copy in copies} == {"dis", "dra", "gpu"}
    states = {"ready", "partial", "in flight", "damaged", "starting"}
    assert {copy.state for copy in copies} == states
    assert picture.services
    assert picture.starting
    assert picture.transfers
    users = {user for node in picture.nodes for gpu in node.gpus for user in gpu.users}
    assert {"ana", "eve", "kim", "li"} <= users
    assert {job.state for job in picture.jobs} == {State.RUNNING, State.SUCCEEDED, State.FAILED}
    assert [event.time for event in picture.events] == sorted(e.time for e in picture.events)


def test_what_is_told_of_its_faults_is_what_is_told_of_any_fleet() -> None:
    texts = [event.text.partition(": ")[2] for event in fleet().picture(NOW).events]
    for said in ("the driver has lost it", "clocks are held down: hardware thermal slowdown"):
        assert texts.count(said) == 1
    levels = {event.text: event.level for event in fleet().picture(NOW).events}
    assert levels["the GPU driver does not answer"] == "error"


@pytest.mark.parametrize(("nodes", "gpus"), [(0, 0), (1, 1), (1, 0), (2, 3), (3, 8), (130, 1)])
def test_a_fleet_has_any_size(nodes: int, gpus: int) -> None:
    picture = fleet(nodes=nodes, gpus=gpus).picture(NOW)
    assert len({node.name for node in picture.nodes}) == nodes


def test_the_processes_of_an_engine_are_as_many_as_its_gpus() -> None:
    picture = fleet().picture(NOW)
    gpus = {f"{gpu.node}:gpu{gpu.index}": gpu for node in picture.nodes for gpu in node.gpus}
    for service in picture.services:
        shown = [gpus[device] for device in service.devices if gpus[device].processes]
        for gpu in shown:
            rank = service.devices.index(f"{gpu.node}:gpu{gpu.index}")
            assert service.model in gpu.models
            command = gpu.processes[0].command
            assert f" {service.model} " in command if rank == 0 else command.endswith(f"TP{rank}")
            if service.model == "bge-m3":  # it has no KV cache
                assert (gpu.memory_used_bytes or 0) < 8e9


def test_a_service_starts_is_served_and_is_started_again() -> None:
    source = fleet()
    (begins,) = source.picture(NOW).starting
    name, devices = begins.model, begins.devices

    def seen(second: float) -> tuple[bool, set[str], set[str | None], list[Gpu]]:
        """Whether it is served; the states and phases of its copies; its GPUs."""
        picture = source.picture(NOW + second)
        served = [each for each in picture.services if each.devices == devices]
        early = [each for each in picture.starting if each.devices == devices]
        assert len(served) + len(early) == 1  # never both, never none
        model = next(model for model in picture.models if model.name == name)
        copies = [copy for copy in model.copies if copy.device in devices]
        gpus = [g for n in picture.nodes for g in n.gpus if f"{g.node}:gpu{g.index}" in devices]
        assert len(copies) == len(gpus) == len(devices)
        return bool(served), {c.state for c in copies}, {c.phase for c in copies}, gpus

    is_served, states, phases, gpus = seen(0)
    assert (is_served, states, phases) == (False, {"starting"}, {"load"})
    memory = [gpu.memory_used_bytes or 0 for gpu in gpus]
    for gpu in gpus:
        assert gpu.util_percent == 0
        assert gpu.idle_since == gpu.processes[0].since == begins.started_at
    is_served, states, phases, gpus = seen(60)
    assert (is_served, states, phases) == (False, {"starting"}, {"check"})
    more = [gpu.memory_used_bytes or 0 for gpu in gpus]
    assert all(now > before for now, before in zip(more, memory, strict=True))
    assert seen(66)[:3] == (True, {"ready"}, {None})
    assert seen(394)[:3] == (True, {"ready"}, {None})
    assert seen(396)[:3] == (False, {"starting"}, {"load"})
    said = [event.text for event in source.picture(NOW + 66).events if event.about == name]
    assert f"{name} is served on {begins.node}" in said


def test_what_was_before_is_of_the_host_too_and_ends_where_a_driver_hangs() -> None:
    source = fleet()
    source.fill(NOW)
    nodes = source.picture(NOW).nodes
    for name in ("cpu_percent", "net_rx_bytes_per_s"):
        assert None not in source.history.seconds(host_key(nodes[0].name, name), 600, NOW)
    hung = next(node for node in nodes if node.silent_s > 0)
    values = source.history.seconds(gpu_key(hung.name, 0, "power_w"), 600, NOW)
    silent = int(hung.silent_s)
    assert values[-silent:] == [None] * silent
    assert None not in values[: -silent - 1]
    lost = next(gpu for node in nodes for gpu in node.gpus if gpu.state is GpuState.LOST)
    assert source.history.seconds(gpu_key(lost.node, lost.index, "power_w"), 1, NOW) == [None]


@pytest.mark.parametrize(("done", "said"), [(1, "verifying"), (2, "loading"), (3, "starting")])
def test_a_task_says_what_it_does(done: int, said: str) -> None:
    states = tasks.under_way(("fetch", "verify", "load", "serve", "try"), done)
    span = tasks.Span(0.0, 10.0, 20.0)
    details = tasks.details(1, "roll-out", states, span, (), None, None)
    assert [task.progress for task in details.tasks if task.progress] == [said]


def test_transfers_progress_and_end_in_a_copy() -> None:
    source = fleet()
    first = source.picture(NOW).transfers[0]
    shares = []
    for second in range(0, 600, 5):
        moving = [t for t in source.picture(NOW + second).transfers if t.job == first.job]
        if not moving:
            break
        assert moving[0].done_bytes is not None
        assert moving[0].total_bytes is not None
        shares.append(moving[0].done_bytes / moving[0].total_bytes)
    else:
        pytest.fail("it never ends")
    assert shares == sorted(shares)
    assert shares[-1] > shares[0]
    after = source.picture(NOW + second)
    model = next(model for model in after.models if model.name == first.model)
    assert any(c.device == first.target and c.state == "ready" for c in model.copies)


def test_jobs_keep_their_numbers_and_each_has_its_own() -> None:
    source = fleet()
    names: dict[int, str] = {}
    for second in range(0, 4000, 50):
        jobs = source.picture(NOW + second).jobs
        assert len({job.id for job in jobs}) == len(jobs)
        for job in jobs:
            assert names.setdefault(job.id, job.name) == job.name
            assert sum(count for _, count in job.counts) in (5, 13)
    assert len(names) > 60


def test_the_past_is_there_from_the_start() -> None:
    source = fleet(nodes=3, gpus=2)
    source.fill(NOW)
    for series in GPU_SERIES:
        values = source.history.seconds(gpu_key("gpu-01", 1, series), 600, NOW)
        assert None not in values
        minutes = source.history.minutes(gpu_key("gpu-01", 1, series), 20, NOW)
        assert minutes[:9] == [None] * 9
        assert None not in minutes[10:]
    # What was computed for the past is what a picture of then would have shown.
    gpu = source.picture(NOW - 60).nodes[0].gpus[1]
    assert source.history.seconds(gpu_key("gpu-01", 1, "util_percent"), 61, NOW)[0] == (
        gpu.util_percent
    )


async def test_the_first_picture_comes_at_once_and_then_one_a_tick() -> None:
    seen: list[FleetSnapshot] = []
    enough = asyncio.Event()

    def listen(snapshot: FleetSnapshot) -> None:
        seen.append(snapshot)
        if len(seen) == 3:
            enough.set()

    source = SimulatedSource(2, 2, interval_s=0.01)
    watching = asyncio.create_task(source.run(listen))
    await asyncio.wait_for(enough.wait(), 10)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    assert seen[0].time < seen[1].time < seen[2].time


def test_hostile_names_are_everywhere_and_the_same_everywhere() -> None:
    plain, hostile = fleet().picture(NOW), fleet(hostile=True).picture(NOW)
    names = {node.name for node in hostile.nodes}
    assert all(name.endswith(NASTY) for name in names)
    assert {service.node for service in hostile.services} <= names
    assert {each.node for each in hostile.attention} <= names
    assert {s.devices[0].rpartition(":")[0] for s in hostile.services} <= names
    commands = {p.command for n in hostile.nodes for gpu in n.gpus for p in gpu.processes or ()}
    assert any("\x1b" in command for command in commands)
    assert max(len(name) for name in commands | names) > 10_000
    assert [node.state for node in hostile.nodes] == [node.state for node in plain.nodes]
    assert disfigure(plain) == hostile


async def test_hostile_names_have_a_past_too() -> None:
    source = fleet(nodes=1, gpus=1, hostile=True)
    source.fill(NOW)
    node = source.picture(NOW).nodes[0]
    assert None not in source.history.seconds(gpu_key(node.name, 0, "power_w"), 600, NOW)


def test_the_job_in_focus_has_details_that_agree_with_it() -> None:
    source = fleet()
    for job in source.picture(NOW).jobs:
        source.focus(job.id)
        details = source.picture(NOW).job_details
        assert details is not None
        assert details.job == job.id
        states = [task.state for task in details.tasks]
        assert {state: states.count(state) for state in states} == dict(job.counts)
        assert {task.id for task in details.tasks if task.state is State.RUNNING} == set(
            job.running
        )
        names = {task.id for task in details.tasks}
        assert all(names.issuperset(task.needs) for task in details.tasks)
    source.focus(None)
    assert source.picture(NOW).job_details is None


async def test_a_log_of_the_simulation_tells_of_its_task() -> None:
    source = fleet()
    job = next(job for job in source.picture(NOW).jobs if job.state is State.SUCCEEDED)
    log = source.log(job.id, None, 0)
    text = await anext(log)
    await log.aclose()  # type: ignore[attr-defined]
    assert text.count("\n") >= 5
