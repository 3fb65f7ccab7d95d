"""Places that have no room, are taken or forbidden; engines that die; nodes that are down."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .. import sshd
from .lab import (
    BIG,
    WEIGHTS,
    Lab,
    Models,
    asked_again,
    records,
    serve_words,
    sha256,
    small,
    times_asked,
    until,
)
from .tap import Tap

BIG_COMMAND = ("model", "download", "big", "--source", "hf://lab/big", "--json")


# No room


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    """A filesystem of that size."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}", "gswarm-test", str(folder)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no filesystem can be mounted: {mounted.stderr.strip() or 'not root'}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_is_too_small(lab: Lab, tap: Tap, models: Models) -> None:
    with tmpfs(lab.folder / "disk", "64m") as disk:
        lab.nodes(node1={"connection": "local", "models": str(disk)})
        ended = lab.gswarm(*BIG_COMMAND)
        assert ended.code == 1
        error, hint = ended.error
        assert error.startswith(f"node1: {disk}: big needs 100.7 MB, 67.1 MB are free")
        assert "make room there" in hint
        assert tap.asked(WEIGHTS) == []
        subprocess.run(["mount", "-o", "remount,size=160m", str(disk)], check=True)
        assert lab.gswarm(*BIG_COMMAND).code == 0
        assert set(times_asked(tap).values()) == {1}


def test_a_disk_that_fills_up_on_the_way(lab: Lab, tap: Tap, models: Models) -> None:
    with tmpfs(lab.folder / "disk", "160m") as disk:
        lab.nodes(node1={"connection": "local", "models": str(disk)})
        tap.hold(3 * 2**24)
        download = lab.start(*BIG_COMMAND)
        until(lambda: len(lab.verified(disk)) == 3, "three pieces")
        until(lambda: len(times_asked(tap)) == 7, "a request for each piece")
        fill(disk / "of-somebody-else")
        tap.release()
        ended = download.end()
        assert ended.code == 1
        error, hint = ended.error
        where = re.escape(str(disk))
        said = rf"node1: {where}/\S+: the disk is full: big needs (\S+) MB more, (.+) are free"
        needed = re.fullmatch(said, error)
        assert needed, error
        verified = lab.verified(disk)
        kept = sum(stop - start for start, stop in verified)
        assert f"the {kept / 1e6:.1f} MB that are here are kept" in hint
        assert needed[1] == f"{(BIG - kept) / 1e6:.1f}"
        (disk / "of-somebody-else").unlink()
        so_far = len(tap.requests)
        again = lab.gswarm(*BIG_COMMAND)
        assert again.code == 0, again
        assert len(verified) >= 3
        assert asked_again(tap, so_far, verified) == []
        assert sha256(Path(again.json["path"]) / WEIGHTS) == models.big_sha256


def fill(path: Path) -> None:
    """Write until there is no room any more."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            return


def test_a_quota_of_dram(lab: Lab, tap: Tap) -> None:
    storage = {"storage": {"dram": "50MB"}}
    lab.nodes(node1={"connection": "local", "capabilities": storage})
    ended = lab.gswarm(*BIG_COMMAND, "--device", "dram")
    assert ended.code == 1
    error, hint = ended.error
    assert "big needs 100.7 MB, and of the quota of 50.0 MB 50.0 MB are left" in error
    assert "larger quota" in hint
    assert tap.asked(WEIGHTS) == []
    small = ("model", "download", "small", "--source", "hf://lab/small", "--device", "dram")
    assert lab.gswarm(*small).code == 0


# Taken


def test_a_port_that_is_taken(lab: Lab) -> None:
    small(lab)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = lab.gswarm(*serve_words(lab), "--port", str(port), "--json")
    assert ended.code == 1
    error, hint = ended.error
    assert f"port {port} is taken by " in error
    assert error.endswith(f" (pid {os.getpid()})")
    assert "name another port" in hint
    assert lab.engines() == []
    assert records(lab) == []


# Engines


def test_an_engine_that_dies_at_its_start(lab: Lab) -> None:
    small(lab)
    ended = lab.gswarm(*serve_words(lab, "--exit", "3"), "--json")
    assert ended.code == 1
    error, *log = ended.stderr.splitlines()
    assert error.startswith("error: node1: ")
    assert "command did not get small ready on dram" in error
    assert "  CUDA out of memory" in log
    assert "  line 29" in log
    assert "  line 3" not in log
    assert "\x1b" not in ended.stderr
    assert lab.engines() == []
    assert records(lab) == []
    model = lab.model("small")
    assert (model["replicas"], model["services"]) == ([], [])


# Nodes that are down


def test_a_node_that_is_down_among_others(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    lab.nodes(node1={}, node2={}, node3={"host": "127.0.0.1", "port": port})
    playbook = lab.playbook(
        *(
            {
                "action_id": f"fetch_{node}",
                "action_type": "download",
                "model_name": "small",
                "source": "hf://lab/small",
                "device": f"{node}:disk",
            }
            for node in ("node1", "node2", "node3")
        ),
        {
            "action_id": "after",
            "action_type": "copy",
            "model_name": "small",
            "devices": ["node3:disk", "node3:dram"],
            "dependencies": ["fetch_node3"],
        },
    )
    run = lab.start("run", playbook, "--json")
    ended = run.end()
    assert ended.code == 3
    states = {it["action_id"]: it["state"] for it in run.events if it["event"] == "task_finished"}
    assert states == {
        "fetch_node1": "succeeded",
        "fetch_node2": "succeeded",
        "fetch_node3": "failed",
        "after": "skipped",
    }
    assert re.search(r"^failed: fetch_node3: node3: .*[Cc]onn.*refused", ended.stderr, re.MULTILINE)
    shown = lab.gswarm("nodes", "--json")
    assert shown.code == 3
    assert [node["state"] for node in shown.json["nodes"]] == ["up", "up", "unreachable"]
    listed = lab.gswarm("model", "list", "--json")
    assert listed.code == 3
    assert list(listed.json["unreachable"]) == ["node3"]
    (model,) = listed.json["models"]
    assert sorted(model["locations"]) == ["node1:disk", "node2:disk"]


# Not the user's


@pytest.fixture
def ordinary(lab: Lab) -> Iterator[sshd.Account]:
    """A user whose HOME nobody can write to."""
    if os.getuid() != 0:
        pytest.skip("users can be added by root only")
    home = lab.folder / "home"
    with sshd.account("/bin/sh", home) as account:
        os.chown(home, 0, 0)
        home.chmod(0o555)
        yield account


def test_an_ordinary_user_whose_home_is_read_only(lab: Lab, ordinary: sshd.Account) -> None:
    own = lab.folder / "own"
    own.mkdir()
    os.chown(own, ordinary.uid, ordinary.uid)
    lab.nodes(node1={"connection": "local", "root": str(own / "node1")})
    del lab.environment["GSWARM_RUN_DIR"], lab.environment["GSWARM_DRAM_DIR"]
    lab.environment.update(HOME=str(ordinary.home), GSWARM_HOME=str(own / "data"))
    del lab.environment["XDG_CACHE_HOME"]
    python = interpreter_for(lab, ordinary)

    def gswarm(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return as_user(lab, ordinary, [python, "-m", "gswarm_tui.cli", *arguments], environment)

    done = gswarm("model", "download", "small", "--source", "hf://lab/small", "--json")
    assert done.returncode == 0, done
    assert Path(json.loads(done.stdout)["path"]).owner() == ordinary.name
    (node,) = json.loads(gswarm("nodes", "--json").stdout)["nodes"]
    assert node["state"] == "up"
    nowhere = gswarm("nodes", GSWARM_HOME="")
    assert nowhere.returncode == 1
    error, hint = nowhere.stderr.splitlines()
    assert error.startswith(f"error: {ordinary.home}/.gswarm: the data directory cannot be made")
    assert "--data-dir" in hint
    assert list(ordinary.home.iterdir()) == []


def as_user(
    lab: Lab, user: sshd.Account, words: list[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        user=user.uid,
        group=user.uid,
        extra_groups=[],
        env={**lab.environment, **environment},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def interpreter_for(lab: Lab, user: sshd.Account) -> str:
    """A Python that the user may run, and to which the packages of this one are of use."""
    packages = [entry for entry in sys.path if Path(entry).is_dir() and "site-packages" in entry]
    sources = [str(Path(__file__).parents[3]), str(Path(__file__).parents[3] / "remote")]
    lab.environment["PYTHONPATH"] = ":".join(sources + packages)
    version = "{}.{}".format(*sys.version_info)
    for candidate in (
        sys.executable,
        f"/usr/bin/python{version}",
        f"/usr/local/bin/python{version}",
    ):
        program = [candidate, "-c", "import gswarm_tui.cli, pydantic_core, asyncssh"]
        try:
            if as_user(lab, user, program, {}).returncode == 0:
                return candidate
        except OSError:
            continue
    pytest.skip(f"no Python {version} here that an ordinary user may run, with this one's packages")
