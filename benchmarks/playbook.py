"""What a playbook costs beside the work that it does: 1,000 health checks of a local port.

    python benchmarks/playbook.py [--actions 1000] [--rounds 3]

Two shapes: all actions free to run at once, and a chain in which each needs the one before. The
peer is httpx2 doing the same requests with nothing around them: 128 at once, or one after the
other, a connection each as a health check has it. gswarm's own part is the time of the whole
command, `gswarm run --json`, less the peer's: starting Python, reading and planning the playbook,
two commits to SQLite for each action, events, a log file. (The time of the job alone is near the
peer's or below it, because a health check is a plainer client than httpx2.)

Each figure is the best of the rounds; peer and gswarm alternate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import httpx2

AT_ONCE = 128
LIMIT_MS = 2.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class _Server(asyncio.Protocol):
    """Answers every request with 200 and closes: as little as a server can do."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(ANSWER)
            self._transport.close()


def serve(ready: Connection) -> None:
    """Serve a free port until killed; its number goes to ``ready``."""

    async def forever() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Server, "127.0.0.1", 0, backlog=1024)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


async def bare(url: str, count: int, at_once: int) -> float:
    """Seconds that httpx2 takes for the requests."""
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with httpx2.AsyncClient(limits=limits, trust_env=False) as client:
        places = asyncio.Semaphore(at_once)

        async def ask() -> None:
            async with places:
                response = await client.get(url)
                response.raise_for_status()

        await client.get(url)
        began = time.perf_counter()
        await asyncio.gather(*(ask() for _ in range(count)))
        return time.perf_counter() - began


def write_playbook(path: Path, url: str, count: int, *, chain: bool) -> None:
    lines = ["name: checks", "actions:"]
    for index in range(count):
        needs = f", dependencies: [c{index - 1}]" if chain and index else ""
        lines.append(
            f"- {{action_id: c{index}, action_type: health_check, target_url: '{url}'{needs}}}"
        )
    path.write_text("\n".join(lines))


def run_playbook(folder: Path) -> tuple[float, float]:
    """Seconds of the job, and of the whole command."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "gswarm_tui.cli", "run", "checks.yaml", "--json"],
        cwd=folder,
        stdout=subprocess.PIPE,
        check=True,
        env=os.environ | {"GSWARM_HOME": str(folder / "home")},
    )
    whole = time.perf_counter() - began
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["state"] == "succeeded", last
    return last["seconds"], whole


def measure(folder: Path, url: str, count: int, rounds: int, *, chain: bool) -> bool:
    """Print a row of the table; returns whether it is within the limit."""
    write_playbook(folder / "checks.yaml", url, count, chain=chain)
    peer, job, whole = [], [], []
    for _ in range(rounds):
        peer.append(asyncio.run(bare(url, count, 1 if chain else AT_ONCE)))
        of_job, of_command = run_playbook(folder)
        job.append(of_job)
        whole.append(of_command)
    shape = "one after the other" if chain else f"{AT_ONCE} at once"
    own = min(whole) - min(peer)
    figures = [f"{s / count * 1000:.2f} ms" for s in (min(peer), min(job), min(whole), own)]
    print(f"| {shape} | {' | '.join(figures)} |", flush=True)
    return own / count * 1000 <= LIMIT_MS


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--actions", type=int, default=1000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/"
    print(f"{options.actions} health checks of a local port, per action; limit {LIMIT_MS} ms\n")
    print("| | httpx2 | the job | whole command | gswarm's own part |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        within = [
            measure(Path(folder), url, options.actions, options.rounds, chain=chain)
            for chain in (False, True)
        ]
    server.terminate()
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
