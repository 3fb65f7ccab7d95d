"""A fleet of two nodes, playbooks from text, and a `Models` in memory beneath the actions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from gswarm_tui.config import QueueConfig
from gswarm_tui.devices import Device
from gswarm_tui.errors import GswarmError, UnreachableError
from gswarm_tui.fleet import TASK
from gswarm_tui.inventory import Inventory
from gswarm_tui.inventory.nodespec import Capabilities, NodeSpec
from gswarm_tui.jobs import JobResult, Runner
from gswarm_tui.models import Models
from gswarm_tui.models.leases import Want, Who
from gswarm_tui.models.moving import keeps_source
from gswarm_tui.models.results import (
    CommandResult,
    CopyResult,
    DeleteResult,
    DownloadResult,
    HealthResult,
    MoveResult,
    ServeResult,
    StopResult,
)
from gswarm_tui.playbook import Plan, plan
from gswarm_tui.playbook.language import schema
from gswarm_tui.progress import Progress, ProgressCallback
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.yamlfile import load_yaml


def node(name: str, host: str) -> NodeSpec:
    return NodeSpec(
        name=name,
        host=host,
        root="~/.gswarm",
        connection="ssh",
        capabilities=Capabilities(gpus=(0, 1, 2)),
    )


@pytest.fixture
def inventory() -> Inventory:
    return two_nodes()


def two_nodes() -> Inventory:
    nodes = [node("node1", "192.168.1.100"), node("node2", "192.168.1.101")]
    return Inventory(nodes={spec.name: spec for spec in nodes})


MakePlan = Callable[..., Plan]


@pytest.fixture
def make_plan(inventory: Inventory) -> MakePlan:
    """A plan from a playbook's text, or from the text of its actions alone."""

    def make(text: str, **overrides: Any) -> Plan:
        document = load_yaml(text, name="p.yaml")
        return plan(schema.read(document, overrides, default_name="p"), inventory)

    return make


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "state.db") as database:
        yield database


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


class FakeModels:
    """Models without nodes: every verb notes its call, and may be held or made to fail.

    Args:
        holds: verb and model to the event it waits for; health checks go by their URL.
        failures: likewise, to what is raised.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.arguments: dict[tuple[str, str], dict[str, Any]] = {}
        self.ended: list[tuple[str, str]] = []
        self.order: list[tuple[str, tuple[str, str]]] = []
        self.cancelled: list[tuple[str, str]] = []
        self.holds: dict[tuple[str, str], asyncio.Event] = {}
        self.failures: dict[tuple[str, str], Exception] = {}
        self.reports: list[Progress] = []
        self.no_gpus: dict[str, str] = {}
        self.asked_for_gpus: list[str] = []
        self.leases: list[tuple[str, str, Any]] = []
        self.who: list[Who] = []
        self.leased_elsewhere: list[str] = []
        self.nodes = ("node1", "node2")
        self.task_cancels: list[tuple[str, str]] = []
        self.unreachable: set[str] = set()
        self.at_once = 0
        self.most_at_once = 0

    async def take_leases(
        self,
        wants: Mapping[str, Sequence[Want]],
        who: Who,
        waiting: Callable[[str], None],
        lost: Callable[[str], None],
    ) -> None:
        self.lose = lost
        self.leases.append(("take", str(TASK.get()), dict(wants)))
        self.who.append(who)
        for reason in self.leased_elsewhere:
            waiting(reason)

    async def task_cancel(self, node: str, prefix: str) -> int:
        self.task_cancels.append((node, prefix))
        if node in self.unreachable:
            raise UnreachableError("no route", where=node)
        return 0

    async def drop_leases(self, nodes: Iterable[str]) -> None:
        self.leases.append(("drop", str(TASK.get()), sorted(nodes)))

    async def _work(
        self, verb: str, name: str, progress: ProgressCallback | None = None, **arguments: Any
    ) -> None:
        call = (verb, name)
        self.calls.append(call)
        self.order.append(("began", call))
        self.arguments[call] = arguments
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for report in self.reports if progress else ():
                progress(report)  # type: ignore[misc]
            await asyncio.sleep(0)
            if call in self.holds:
                await self.holds[call].wait()
            if call in self.failures:
                raise self.failures[call]
        except asyncio.CancelledError:
            self.cancelled.append(call)
            raise
        finally:
            self.at_once -= 1
            self.ended.append(call)
            self.order.append(("ended", call))

    async def missing_gpus(self, devices: Iterable[Device]) -> dict[Device, str]:
        wanted = list(devices)
        self.asked_for_gpus += [str(device) for device in wanted]
        return {d: self.no_gpus[str(d)] for d in wanted if str(d) in self.no_gpus}

    async def download(
        self, name: str, source: str | None, devices: Sequence[Device], **options: Any
    ) -> DownloadResult:
        await self._work("download", name, source=source, devices=devices, **options)
        return DownloadResult(**placement(name, devices))

    async def command(self, node: str, argv: Sequence[str], **options: Any) -> CommandResult:
        await self._work("command", node, argv=argv, **options)
        return CommandResult(node, status=0, output="done\n", skipped=False, seconds=0.5)

    async def copy(
        self, name: str, source: Device, targets: Sequence[Device], **options: Any
    ) -> CopyResult:
        await self._work("copy", name, source=source, targets=targets, **options)
        return CopyResult(**placement(name, targets))

    async def move(
        self,
        name: str,
        source: Device,
        targets: Sequence[Device],
        *,
        keep_source: bool | None,
        **options: Any,
    ) -> MoveResult:
        await self._work("move", name, source=source, targets=targets, **options)
        kept = keeps_source(source, targets) if keep_source is None else keep_source
        return MoveResult(**placement(name, targets), source_kept=kept)

    async def delete(self, name: str, devices: Sequence[Device], *, force: bool) -> DeleteResult:
        await self._work("delete", name, devices=devices, force=force)
        return DeleteResult(name, [str(device) for device in devices], 42)

    async def serve(
        self, name: str, devices: Sequence[Device], *, port: int | None, **options: Any
    ) -> ServeResult:
        await self._work("serve", name, devices=devices, port=port, **options)
        node, port = str(devices[0].node), port or 40_000 + len(self.calls)
        url = f"http://{node}:{port}"
        return ServeResult(
            model=name,
            device=str(devices[0]),
            devices=[str(device) for device in devices],
            engine=options["engine"] or "vllm",
            node=node,
            port=port,
            url=url,
            endpoint=None,
            tunnel=f"ssh -N -L {port}:127.0.0.1:{port} {node}",
            service=f"service-of-{name}",
            already=False,
        )

    async def stop_serve(self, name: str, devices: Sequence[Device] | None) -> StopResult:
        await self._work("stop_serve", name, devices=devices)
        return StopResult(name, [str(device) for device in devices or ()], 1)

    async def check_health(self, url: str, *, prompt: str | None, **options: Any) -> HealthResult:
        await self._work("health_check", url, prompt=prompt, **options)
        completion = None if prompt is None else f"{prompt} and more"
        return HealthResult(url, 200, True, 1.5, "controller", prompt, completion)


def placement(name: str, devices: Sequence[Device]) -> Mapping[str, Any]:
    return {
        "model": name,
        "revision": "abc123",
        "hash": "sha256:" + "0" * 64,
        "size": 1_000_000,
        "device": str(devices[0]),
        "devices": [str(device) for device in devices],
        "path": None if devices[0].is_gpu else f"/models/{name}/abc123",
        "already": False,
        "seconds": 0.5,
    }


GraphRun = Callable[[str, set[tuple[str, str]], int], tuple[JobResult, FakeModels]]


@pytest.fixture(scope="session")
def graph_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphRun]:
    """Runs a playbook's text, with what is to fail; for tests that do it many times."""
    with Database(tmp_path_factory.mktemp("graphs") / "state.db") as database:

        def run(text: str, failing: set[tuple[str, str]], parallel: int) -> Any:
            fake = FakeModels()
            fake.failures = {call: GswarmError("no") for call in failing}
            document = load_yaml(text, name="p.yaml")
            planned = plan(schema.read(document, {}, default_name="p"), two_nodes())
            config = QueueConfig(max_concurrent_tasks=parallel)
            runner = Runner(planned, cast(Models, fake), database, config=config)
            return asyncio.run(runner.run()), fake

        yield run


@pytest.fixture
def fake() -> FakeModels:
    return FakeModels()


@pytest.fixture
def models(fake: FakeModels) -> Models:
    return cast(Models, fake)
