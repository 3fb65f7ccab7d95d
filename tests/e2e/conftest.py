"""Real servers, real helpers, and the certainty that nothing of them is left."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gswarm_tui.fleet import Fleet
from gswarm_tui.home import Home
from gswarm_tui.inventory import Inventory
from gswarm_tui.inventory.nodespec import NodeSpec

from . import sshd


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What controllers of this run fetch and build for nodes, once for all of them."""
    return tmp_path_factory.mktemp("fetched")


class Site:
    """A controller and the machines that it reaches, all of them here, in a folder of their own.

    The folder is short and can be entered by every user, as the accounts of `sshd.account` need it.
    """

    def __init__(self, folder: Path, fetched: Path) -> None:
        self.folder = folder
        self.controller = folder / "controller"  # HOME on the controller
        self.machine = folder / "machine"  # HOME on the nodes
        self.ssh = self.controller / ".ssh"
        self.environment = {"GSWARM_RUN_DIR": str(folder / "run")}  # of helpers
        for made in (self.ssh, self.machine):
            made.mkdir(parents=True, mode=0o755)
        self.key = sshd.make_key(self.ssh / "id_ed25519")
        self._fetched = fetched
        self._servers: list[sshd.Server] = []

    def home(self, name: str = "data") -> Home:
        """A data directory for a controller; what is fetched is shared."""
        home = Home(self.controller / name)
        for shared in ("wheels", "bundles"):
            link = home.cache / shared
            if not link.is_symlink():
                (self._fetched / shared).mkdir(exist_ok=True)
                link.symlink_to(self._fetched / shared)
        return home

    def sshd(self, name: str = "sshd", *, known: bool = True, **options: Any) -> sshd.Server:
        """Start a server that the controller's key opens; see `sshd.start` for the options.

        Args:
            known: its host key is in the controller's known_hosts.
        """
        options.setdefault("home", self.machine)
        if options["home"] is not None:  # None is for accounts: their sockets go where they do
            options["environment"] = {**self.environment, **options.get("environment", {})}
        server = sshd.start(
            self.folder / name, authorized_key=self.key.with_suffix(".pub"), **options
        )
        self._servers.append(server)
        if known:
            with (self.ssh / "known_hosts").open("a") as file:
                file.write(server.known_hosts())
        return server

    def node(self, server: sshd.Server | None, name: str = "node1", **settings: Any) -> NodeSpec:
        """A node behind `server`, or on this machine where that is None; its root is in here."""
        settings.setdefault("root", str(self.folder / "roots" / name))
        if server is None:
            return NodeSpec(name, "localhost", connection="local", **settings)
        settings.setdefault("host", server.addresses[0])
        settings.setdefault("port", server.port)
        return NodeSpec(name, **settings)

    def fleet(self, *nodes: NodeSpec, home: Home | None = None, idle_exit_s: float = 20) -> Fleet:
        inventory = Inventory(nodes={node.name: node for node in nodes})
        return Fleet(inventory, home or self.home(), idle_exit_s=idle_exit_s, notice=lambda _: None)

    def end(self) -> None:
        """End the servers and every process that was started in the folder."""
        for server in self._servers:
            server.stop()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in sshd.processes_below(self.folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
                    os.kill(pid, number)
            deadline = time.monotonic() + 5
            while sshd.processes_below(self.folder) and time.monotonic() < deadline:
                time.sleep(0.02)
        left = sshd.processes_below(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not left, f"these processes are left: {left}"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, fetched: Path) -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp(prefix="gs-"))
    folder.chmod(0o755)
    made = Site(folder, fetched)
    monkeypatch.setenv("HOME", str(made.controller))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def ssh_site(site: Site) -> Site:
    """`site`, where real servers can be run."""
    reason = sshd.missing()
    if reason is not None:
        pytest.skip(reason)
    return site
