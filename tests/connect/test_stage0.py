"""An unpacked helper is used if it is whole; an old one is ended if it is the one, and late."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gswarm_tui.connect import bundle, command, stage0

LISTENS = """
import signal, socket, sys, time
sock = socket.socket(socket.AF_UNIX)
sock.bind(sys.argv[1])
sock.listen()
if "deaf" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""
MARKER = ("first", "second")

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process that listens at a path as a helper does."""
    started = []

    def begin(path: Path, *words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", LISTENS, str(path), *words], stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def is_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(0.2)
    except subprocess.TimeoutExpired:
        return True
    return False


def test_the_helper_is_ended(start: Start, tmp_path: Path) -> None:
    old = start(tmp_path / "s")
    stage0.end_helper(old.pid, str(tmp_path / "s"))
    assert not is_running(old)


def test_one_that_ignores_it_is_killed(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage0, "TERM_TIMEOUT_S", 0.1)
    old = start(tmp_path / "s", "deaf")
    stage0.end_helper(old.pid, str(tmp_path / "s"))
    assert old.wait() == -9


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a socket does not tell")
@pytest.mark.parametrize("there", ["another's", "nothing"])
def test_another_process_is_let_be(start: Start, tmp_path: Path, there: str) -> None:
    stranger = start(tmp_path / "strangers")
    if there == "another's":
        start(tmp_path / "s")
    stage0.end_helper(stranger.pid, str(tmp_path / "s"))
    assert is_running(stranger)


def test_a_new_helper_that_does_not_arrive_ends_no_old_one(start: Start, tmp_path: Path) -> None:
    old = start(tmp_path / "s")
    asked = {
        "hash": "0123456789abcdef",
        "built": ["0.1.0", 1],
        "root": str(tmp_path / "root"),
        "idle_exit": None,
        "fresh": False,
        "end": old.pid,
        "bridge": False,
        "socket": str(tmp_path / "s"),
    }
    done = subprocess.run(
        ["/bin/sh", "-c", command.stage0(asked, marker=MARKER, python=sys.executable)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        timeout=30,
        check=False,
    )
    assert b"the helper was not sent" in done.stdout
    assert is_running(old)


@pytest.mark.parametrize("damage", ["emptied", "gone", "index emptied"])
def test_a_damaged_bundle_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    archive = zlib.decompress(bundle.pack({stage0.LAUNCHER: b"1", "parts/toy": b"22"}))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(stage0, "say", lambda kind, payload: None)
    monkeypatch.setattr(stage0, "read_bundle", lambda: archive)
    asked = {"hash": "0123456789abcdef", "fresh": False}
    there = Path(stage0.find_bundle(asked))
    first = there.stat().st_ino
    assert stage0.find_bundle(asked) == str(there)
    assert there.stat().st_ino == first
    if damage == "gone":
        (there / "parts" / "toy").unlink()
    else:
        (there / ("index" if "index" in damage else "parts/toy")).write_bytes(b"")
    assert stage0.find_bundle(asked) == str(there)
    assert (there / "parts" / "toy").read_bytes() == b"22"
    assert [path.name for path in there.parent.iterdir()] == [there.name]
