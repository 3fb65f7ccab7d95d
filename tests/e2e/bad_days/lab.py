"""A lab for the end-to-end tests: the `gswarm` command, nodes, a hub, and what can be seen of them.

Nothing here looks inside the controller: commands are processes, as a user starts them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from gswarm_remote.models import journal
from gswarm_remote.models.piece import PIECE

from .. import sshd
from ..conftest import Site
from .tap import Tap

T = TypeVar("T")

ENGINE = Path(__file__).parents[2] / "remote" / "engine.py"
BIG = 6 * PIECE + 12345
"""Bytes of the big model's one file: six whole pieces, and a little one."""

WEIGHTS = "model.safetensors"
_COMMAND_TIMEOUT_S = 90


def until(condition: Callable[[], T], what: str, *, timeout_s: float = 30) -> T:
    """Poll until `condition` gives something, and return that."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {timeout_s} s")


@dataclass(frozen=True, slots=True)
class Models:
    """The folder that the hub serves, and what is in it: ``lab/big`` and ``lab/small``."""

    folder: Path
    big_sha256: str

    @classmethod
    def make(cls, folder: Path) -> Models:
        big = folder / "lab" / "big"
        big.mkdir(parents=True)
        content = os.urandom(BIG)
        (big / WEIGHTS).write_bytes(content)
        small = folder / "lab" / "small"
        small.mkdir()
        (small / "config.json").write_text('{"model_type": "llama"}\n')
        (small / WEIGHTS).write_bytes(os.urandom(1_500_000))
        return cls(folder, hashlib.sha256(content).hexdigest())


@contextlib.contextmanager
def hub_server(models: Models, log: Path) -> Iterator[str]:
    """`gswarm hub serve` as a process; gives its URL."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*program(), "hub", "serve", str(models.folder), "--port", "0"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "GSWARM_HOME": str(log.parent / "hub-home")},
        )
    try:
        found = until(
            lambda: re.search(r"^http://\S+$", log.read_text(), re.MULTILINE), "the hub's URL"
        )
        yield found[0]
    finally:
        process.terminate()
        process.wait(timeout=10)


def program() -> list[str]:
    """How `gswarm` is called: as it is installed beside this Python."""
    return [str(Path(sys.executable).with_name("gswarm"))]


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left: its exit code and what it said."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def error(self) -> tuple[str, str]:
        """The error and the hint, where they are all that it said on stderr."""
        said = self.stderr.splitlines()
        lines = [line for line in said if not line.startswith("fetching what the helper needs")]
        assert len(lines) == 2, self
        error, hint = lines
        assert error.startswith("error: "), self
        assert hint.startswith("  hint: "), self
        return error.removeprefix("error: "), hint.removeprefix("  hint: ")


class Command:
    """A `gswarm` that runs."""

    def __init__(self, process: subprocess.Popen[bytes], stdout: Path, stderr: Path) -> None:
        self.process = process
        self._stdout = stdout
        self._stderr = stderr

    @property
    def events(self) -> list[dict[str, Any]]:
        """What `gswarm run --json` has said so far."""
        whole = self._stdout.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def says(self, text: str) -> bool:
        return text in self._stdout.read_text() + self._stderr.read_text()

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)

    def end(self, *, timeout_s: float = _COMMAND_TIMEOUT_S) -> Ended:
        """Wait until it has ended by itself."""
        try:
            code = self.process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it goes on and on: {self._read()}") from None
        ended = Ended(code, *self._read())
        assert "Traceback" not in ended.stdout + ended.stderr, ended
        return ended

    def _read(self) -> tuple[str, str]:
        return self._stdout.read_text(), self._stderr.read_text()


class Lab:
    """A controller with data directories of its own, the nodes of its inventory, and a hub.

    Args:
        cache: the user's cache folder, which may be shared by several labs.
        hub: the URL in $HF_ENDPOINT.
    """

    def __init__(self, site: Site, *, cache: Path, hub: str) -> None:
        self.site = site
        self.folder = site.folder
        self.inventory = self.folder / "inventory.yaml"
        memory = self.folder / "shm"
        memory.mkdir(mode=0o755)
        site.environment["GSWARM_DRAM_DIR"] = str(memory)
        self.environment = {
            **_passed_on(),
            **site.environment,
            "HOME": str(site.controller),
            "XDG_CACHE_HOME": str(cache),
            "GSWARM_HOME": str(site.controller / "data"),
            "GSWARM_INVENTORY": str(self.inventory),
            "GSWARM_IDLE_EXIT": "20",
            "HF_ENDPOINT": hub,
            "NO_PROXY": "127.0.0.1,0.0.0.0",
        }
        self._commands = 0

    def nodes(self, **nodes: Mapping[str, Any]) -> None:
        """Write the inventory: settings by name; without any, a local node with a root in here."""
        content = {
            name: {"root": str(self.root(name)), **(settings or {"connection": "local"})}
            for name, settings in nodes.items()
        }
        self.inventory.write_text(yaml.safe_dump({"nodes": content}))

    def root(self, node: str) -> Path:
        return self.folder / node

    def store(self, node: str) -> Path:
        """The node's models folder, where the inventory names no other."""
        return self.root(node) / "models"

    def playbook(self, *actions: Mapping[str, Any], name: str = "bad-day") -> Path:
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"name": name, "actions": list(actions)}))
        return path

    # The command

    def start(self, *arguments: str | Path, home: str = "data", **environment: str) -> Command:
        """Start `gswarm`.

        Args:
            home: the name of its data directory.
            environment: more of it.
        """
        self._commands += 1
        outputs = [self.folder / f"command-{self._commands}.{kind}" for kind in ("out", "err")]
        with outputs[0].open("wb") as stdout, outputs[1].open("wb") as stderr:
            process = subprocess.Popen(
                [*program(), *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={
                    **self.environment,
                    "GSWARM_HOME": str(self.site.controller / home),
                    **environment,
                },
                start_new_session=True,
            )
        return Command(process, *outputs)

    def gswarm(self, *arguments: str | Path, home: str = "data", **environment: str) -> Ended:
        """Run `gswarm` to its end."""
        return self.start(*arguments, home=home, **environment).end()

    def asked(self, *arguments: str | Path) -> Any:
        """What `gswarm … --json` prints, which must succeed."""
        ended = self.gswarm(*arguments, "--json")
        assert ended.code == 0, ended
        return ended.json

    # What can be seen

    def helper(self, node: str) -> int:
        """The process of a node's helper."""
        for pid in sshd.processes_below(self.root(node)):
            if any(word.endswith(b"/gswarm_helper.py") for word in _words(pid)):
                return pid
        raise AssertionError(f"{node} has no helper")

    def verified(self, store: Path) -> list[tuple[int, int]]:
        """Start and stop of the verified pieces of the big model's file that is in flight."""
        found = []
        for path in (store / ".gswarm" / "partial").glob("*/journal"):
            pieces, _ = journal.read(path)
            found += [(it.offset, it.offset + it.length) for it in pieces.get(0, {}).values()]
        return sorted(found)

    def model(self, name: str) -> dict[str, Any]:
        """A model as `gswarm model list` shows it."""
        (found,) = [it for it in self.asked("model", "list")["models"] if it["name"] == name]
        return dict(found)

    def copies(self, model: str) -> dict[str, dict[str, Any]]:
        """The copies of a model by their devices."""
        return {copy["device"]: copy for copy in self.model(model)["copies"]}

    def operations(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.asked("status")["operations"]
        return found

    def engine(self, *arguments: str, name: str = "engine") -> dict[str, str]:
        """The config with which the engine `command` runs tests/remote/engine.py."""
        words = [sys.executable, str(ENGINE), "--port", "{port}", "--folder"]
        words += [str(self.folder / name), *arguments]
        return {"command": " ".join(words), "health": "/health", "ready": "completion"}

    def engines(self, name: str = "engine") -> list[int]:
        """The processes of `engine`."""
        folder = os.fsencode(self.folder / name)
        below = sshd.processes_below(self.folder / name)
        return [pid for pid in below if folder in _words(pid)]


def small(lab: Lab) -> None:
    """Bring ``lab/small`` to the disks of all nodes."""
    source = "hf://lab/small"
    ended = lab.gswarm("model", "download", "small", "--source", source, "--node", "all")
    assert ended.code == 0, ended


def serve_words(lab: Lab, *arguments: str) -> list[str]:
    """The command that serves it from node1, with the engine of `Lab.engine`."""
    config = [f"{key}={value}" for key, value in lab.engine(*arguments).items()]
    words = ["model", "serve", "small", "--device", "node1:dram", "--engine", "command"]
    return words + [word for item in config for word in ("--config", item)]


def records(lab: Lab, node: str = "node1") -> list[Path]:
    """What the node remembers of engines and services."""
    return [*lab.root(node).glob("hosts/*/engines/*"), *lab.root(node).glob("hosts/*/services/*")]


def asked_again(tap: Tap, since: int, verified: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The verified pieces of which a request, from number `since` on, wanted a byte again."""
    later = [request for request in tap.requests[since:] if request.file == WEIGHTS]
    return [piece for piece in verified if any(it.overlaps(*piece) for it in later)]


def times_asked(tap: Tap, file: str = WEIGHTS) -> dict[int, int]:
    """How often each piece of a file was asked for, by its offset."""
    counts: dict[int, int] = {}
    for request in tap.asked(file):
        counts[request.start] = counts.get(request.start, 0) + 1
    return counts


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _words(pid: int) -> list[bytes]:
    """The command line of a process, which may have ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return []


def _passed_on() -> dict[str, str]:
    """What commands get of this process's environment: how to find programs and packages."""
    passed = ("PATH", "PYTHONPATH", "LANG", "SSL_CERT_FILE", "http_proxy", "https_proxy")
    return {
        name: value
        for name, value in os.environ.items()
        if name in passed or name.startswith("PIP_")
    }
