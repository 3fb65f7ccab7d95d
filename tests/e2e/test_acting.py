"""What the screens change, done by the real command line on a node of this machine."""

from __future__ import annotations

import asyncio
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gswarm_tui.cli.context import Settings
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.tui import placing
from gswarm_tui.tui.acting import CommandLine
from gswarm_tui.tui.talking import NodeTalker, Said
from gswarm_tui.watch.snapshot import Copy, FleetSnapshot, Service

pytestmark = pytest.mark.e2e


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(f"nodes:\n  here: {{connection: local, root: {tmp_path / 'root'}}}\n")
    found = Settings(data_dir=tmp_path / "data", inventory_path=inventory)
    yield found
    words = ["-i", str(inventory), "--data-dir", str(found.data_dir), "down"]
    subprocess.run([sys.executable, "-m", "gswarm_tui.cli", *words], check=True, timeout=60)


class Echoing(http.server.BaseHTTPRequestHandler):
    """A service that repeats the last thing said."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = f"{asked['model']} heard {asked['messages'][-1]['content']}"
        body = json.dumps({"choices": [{"message": {"content": said}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


async def test_a_deed_is_compared_and_becomes_a_job(settings: Settings) -> None:
    actor = CommandLine(settings)
    copy = Copy("nothing", "r", "here:disk", "ready", 5)
    proposal = await actor.propose(placing.delete([copy], FleetSnapshot(0.0)))
    assert proposal.plan[0] == "delete nothing from here:disk: already so"
    assert proposal.problems == ()
    done = await actor.carry_out(proposal)
    assert done.job is not None
    assert settings.data_dir is not None
    assert not list(settings.data_dir.glob("tui-*"))
    with Database(settings.home().database) as database:
        jobs = Jobs(database)
        async with asyncio.timeout(60):
            while (job := jobs.get(done.job)) is None or job.finished_at is None:
                await asyncio.sleep(0.05)
    assert (job.name, job.state) == ("delete nothing from here:disk", "succeeded")


async def test_a_service_is_asked_from_its_node(settings: Settings) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echoing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_port
    service = Service(
        *("llama", "here", ("here:dram",), "mlx", "ready", "127.0.0.1", port, None, "s", "r")
    )
    try:
        answer = await NodeTalker(settings).say(service, [Said("user", "hello")], None)
    finally:
        server.shutdown()
        server.server_close()
    assert answer == "llama heard hello"
