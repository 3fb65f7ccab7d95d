"""Two controllers, one node behind a real sshd: leases between them, and work that outlives one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gswarm_tui.fleet import TASK
from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.models import Models
from gswarm_tui.models.leases import Want, Who
from gswarm_tui.progress import Progress
from gswarm_tui.state.database import Database
from gswarm_tui.state.models import Registry

from .conftest import Site

ANA, EVE = Who(17, "ana", "laptop", "serve m"), Who(3, "eve", "desk", "move m")
MODEL = Want(model="m", tier="disk")


@pytest.fixture
def node(ssh_site: Site) -> NodeSpec:
    ssh_site.environment["GSWARM_LEASE_DIR"] = str(ssh_site.folder / "leases")
    ssh_site.environment["GSWARM_LEASE_GRACE"] = "0.2"
    return ssh_site.node(ssh_site.sshd())


@contextlib.asynccontextmanager
async def controller(site: Site, node: NodeSpec, name: str) -> AsyncIterator[Models]:
    home = site.home(name)
    home.root.mkdir(parents=True, exist_ok=True)
    with Database(home.database) as database:
        async with site.fleet(node, home=home) as fleet:
            yield Models(fleet, Registry(database))


@contextlib.contextmanager
def task(key: str) -> Iterator[None]:
    token = TASK.set(key)
    try:
        yield
    finally:
        TASK.reset(token)


async def test_two_controllers_meet_at_the_node(site: Site, node: NodeSpec) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    async with controller(site, node, "eve") as eves:
        async with controller(site, node, "ana") as anas:
            with task("a/x/1"):
                await anas.take_leases({node.name: [MODEL]}, ANA, told.put_nowait, told.put_nowait)
            with task("e/x/1"):
                wants = {node.name: [MODEL]}
                taking = asyncio.ensure_future(
                    eves.take_leases(wants, EVE, told.put_nowait, told.put_nowait)
                )
            assert await asyncio.wait_for(told.get(), 20) == (
                f"waiting for m on {node.name}:disk, held by job 17 of ana@laptop (serve m)"
            )
        await asyncio.wait_for(taking, 20)  # ana's controller is gone, and so is her lease


FIRST = """
import asyncio, json, sys
from pathlib import Path
from gswarm_tui.fleet import TASK, Fleet
from gswarm_tui.home import Home
from gswarm_tui.inventory import load
from gswarm_tui.models import Models
from gswarm_tui.state.database import Database
from gswarm_tui.state.models import Registry

async def main(inventory, home, argv, cwd):
    TASK.set("j/a/1")
    home = Home(Path(home))
    home.root.mkdir(parents=True, exist_ok=True)
    with Database(home.database) as database:
        async with Fleet(load(Path(inventory)), home) as fleet:
            models = Models(fleet, Registry(database))
            tell = lambda report: report.output and print(report.output, end="", flush=True)
            await models.command("node1", json.loads(argv), cwd=cwd, progress=tell)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_command_outlives_its_controller_and_another_takes_it_up(
    site: Site, node: NodeSpec
) -> None:
    script = "echo run >>runs; echo begun; while [ ! -e go ]; do sleep 0.05; done; echo done"
    argv, cwd = ["sh", "-c", script], str(site.folder)
    inventory = site.folder / "inventory.yaml"
    inventory.write_text(
        f"nodes: {{node1: {{host: {node.host}, port: {node.port}, root: {node.root}}}}}"
    )
    first = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", FIRST, str(inventory), str(site.home("first").root)),
        *(json.dumps(argv), cwd),
        stdout=asyncio.subprocess.PIPE,
    )
    assert first.stdout is not None
    assert await asyncio.wait_for(first.stdout.readline(), 30) == b"begun\n"
    first.kill()
    await first.wait()
    seen = ""

    def see(report: Progress) -> None:
        nonlocal seen
        seen += report.output or ""
        if seen:
            (site.folder / "go").touch()

    with task("j/a/1"):
        async with controller(site, node, "second") as models:
            result = await models.command(node.name, argv, cwd=cwd, progress=see)
    assert result.output == seen == "begun\ndone\n"
    assert (site.folder / "runs").read_text() == "run\n"


async def test_a_command_that_is_cancelled_while_its_node_is_lost_is_ended_there(
    ssh_site: Site,
) -> None:
    server = ssh_site.sshd()
    process = ssh_site.folder / "process"
    argv = ["sh", "-c", f"echo $$ >{process}; echo begun; exec sleep 600"]
    begun = asyncio.Event()
    async with ssh_site.fleet(ssh_site.node(server)) as fleet:
        node = fleet.node("node1")
        with task("j/a/1"):
            asked = asyncio.ensure_future(
                node.call("command.run", {"argv": argv}, progress=lambda _: begun.set())
            )
        await asyncio.wait_for(begun.wait(), 30)
        server.stop()
        while node.state == "connected":
            await asyncio.sleep(0.01)
        asked.cancel()
        ssh_site.sshd(port=server.port, host_key=server.host_key, known=False)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asked, 30)
    with contextlib.suppress(FileNotFoundError):  # else it has ended, and nobody has looked yet
        assert Path(f"/proc/{process.read_text().strip()}/cmdline").read_bytes() == b""
