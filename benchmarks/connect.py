"""How long it takes until every node has answered, beside the least that any tool over SSH needs.

    python benchmarks/connect.py [--nodes 16] [--rounds 5] [--bare] [--quick]

One real sshd listens on 16 addresses of this machine, each a node with a cache and a root of its
own.

- floor: bare asyncssh connects to all at once, and runs ``python3 -c pass`` on each.
- cold: gswarm where no node has the helper: it is sent, unpacked, started, and asked for its state.
- warm: gswarm, the next time.

The three alternate, in one process, after a round that warms the caches; medians are compared.
ansible's ping and pyinfra's ``exec true`` are measured too where they are on PATH. ``--bare`` gives
the sessions an empty HOME; otherwise the shell reads the account's ~/.bashrc, in every figure. Ends
with 1 where a limit is passed: cold at most 1.6 times the floor, warm at most 1.0 times.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncssh

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "e2e"))
import sshd

from gswarm_tui.fleet import Fleet
from gswarm_tui.home import Home
from gswarm_tui.inventory import Inventory
from gswarm_tui.inventory.nodespec import NodeSpec

COLD_LIMIT, WARM_LIMIT = 1.6, 1.0


class Field:
    """The nodes, and the ways to reach them that are compared."""

    def __init__(self, folder: Path, nodes: int, *, bare: bool) -> None:
        self.folder = folder
        self.addresses = [f"127.0.0.{number}" for number in range(2, 2 + nodes)]
        self.key = sshd.make_key(folder / "id_ed25519")
        matches = []
        for address in self.addresses:
            place = folder / "nodes" / address
            place.mkdir(parents=True)
            home = f' HOME="{place}"' if bare else ""
            matches += [
                f"Match LocalAddress {address}",
                f'  SetEnv XDG_CACHE_HOME="{place}/cache"{home}',
            ]
        self.server = sshd.start(
            folder / "sshd",
            authorized_key=self.key.with_suffix(".pub"),
            addresses=self.addresses,
            matches=matches,
        )
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(self.server.known_hosts())
        ssh = folder / "home" / ".ssh"
        ssh.mkdir(parents=True)
        shutil.copy(self.known_hosts, ssh / "known_hosts")
        os.environ["HOME"] = str(folder / "home")
        os.environ.pop("SSH_AUTH_SOCK", None)

    async def floor(self) -> None:
        async def one(address: str) -> None:
            async with asyncssh.connect(
                address,
                self.server.port,
                username="root",
                client_keys=[str(self.key)],
                known_hosts=str(self.known_hosts),
                config=None,
            ) as connection:
                await connection.run("python3 -c pass", check=True)

        await asyncio.gather(*map(one, self.addresses))

    async def gswarm(self) -> None:
        nodes = {
            address: NodeSpec(
                address,
                address,
                user="root",
                port=self.server.port,
                identity=self.key,
                root=str(self.folder / "nodes" / address / "root"),
            )
            for address in self.addresses
        }
        async with Fleet(Inventory(nodes=nodes), Home(self.folder / "data")) as fleet:
            for address, answer in (await fleet.gather(nodes, "node.status")).items():
                if isinstance(answer, Exception):
                    raise RuntimeError(f"{address}: {answer}")

    def forget(self) -> None:
        """Make every node as it is before its first connection."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.helpers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            deadline = time.monotonic() + 10
            while self.helpers() and time.monotonic() < deadline:
                time.sleep(0.02)
        for address in self.addresses:
            for name in ("cache", "root"):
                shutil.rmtree(self.folder / "nodes" / address / name, ignore_errors=True)
        shutil.rmtree(self.folder / "data" / "cache" / "routes", ignore_errors=True)

    def helpers(self) -> list[int]:
        return sshd.processes_below(self.folder / "nodes")

    def peers(self) -> dict[str, list[str]]:
        """The command lines of other tools that are installed here; each connects anew."""
        ssh = f"-o UserKnownHostsFile={self.known_hosts} -o ControlMaster=no -o ControlPath=none"
        port, key = str(self.server.port), str(self.key)
        found = {}
        if shutil.which("ansible"):
            found["ansible -m ping"] = [
                *("ansible", "all", "-i", ",".join(self.addresses) + ",", "-f", "64", "-m", "ping"),
                *("-u", "root", "--private-key", key, f"--ssh-common-args={ssh}"),
                *("-e", f"ansible_port={port} ansible_python_interpreter=python3"),
            ]
        if shutil.which("pyinfra"):
            found["pyinfra exec true"] = [
                *("pyinfra", ",".join(self.addresses), "-y", "--parallel", "64"),
                *("--port", port, "--user", "root", "--key", key, "exec", "--", "true"),
            ]
        return found


def timed(work: Callable[[], Awaitable[None]]) -> float:
    async def run() -> float:
        started = time.perf_counter()
        await work()
        return time.perf_counter() - started

    return asyncio.run(run())


def measure(field: Field, rounds: int) -> dict[str, float]:
    """The median of each way in seconds."""
    times: dict[str, list[float]] = {}
    for count in range(rounds + 1):
        field.forget()
        found = {"floor": timed(field.floor), "cold": timed(field.gswarm)}
        found["warm"] = timed(field.gswarm)
        for name, command in field.peers().items() if count else ():
            started = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            found[name] = time.perf_counter() - started
            if done.returncode:
                raise RuntimeError(f"{name}: {(done.stdout + done.stderr)[-2000:]}")
        for name, seconds in found.items() if count else ():
            times.setdefault(name, []).append(seconds)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description="Time until every node has answered.")
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bare", action="store_true", help="sessions have an empty HOME")
    parser.add_argument("--quick", action="store_true", help="4 nodes, one round")
    options = parser.parse_args()
    nodes, rounds = (4, 1) if options.quick else (options.nodes, options.rounds)
    folder = Path(tempfile.mkdtemp(prefix="gs-"))
    field = Field(folder, nodes, bare=options.bare)
    try:
        medians = measure(field, rounds)
    finally:
        field.forget()
        field.server.stop()
        shutil.rmtree(folder)
    floor = medians["floor"]
    print(f"{nodes} nodes, {rounds} rounds, medians")
    for name, seconds in medians.items():
        print(f"{name:<20} {seconds * 1000:7.0f} ms   {seconds / floor:5.2f} x floor")
    kept = medians["cold"] <= COLD_LIMIT * floor and medians["warm"] <= WARM_LIMIT * floor
    print(f"limits: cold {COLD_LIMIT} x, warm {WARM_LIMIT} x: {'kept' if kept else 'passed'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
