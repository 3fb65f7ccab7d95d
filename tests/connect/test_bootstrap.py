"""The conversation with stage 0, with a node that says what the test wants."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from gswarm_tui.connect import bootstrap
from gswarm_tui.connect.bootstrap import HelperSpec, Listening, start_helper
from gswarm_tui.connect.bundle import Bundles
from gswarm_tui.errors import BootstrapError, UnreachableError

SPEC = HelperSpec("node1", "/root")
READY = b'ready {"socket": "/run/x.sock", "pid": 7}\n'
FOUND = b"report {'bundle': '/there', 'platform': 'linux-x86_64-glibc'}\n"
MISSING = b"report {'bundle': None, 'platform': 'linux-x86_64-glibc'}\n"


class Script:
    """A transport on which every command says what `says` makes of its marker.

    Args:
        says: gets the marker; returns the chunks of stdout, or an exception to raise in between.
    """

    def __init__(self, *says: Callable[[bytes], list[bytes | Exception]]) -> None:
        self._says = list(says)
        self.processes: list[ScriptedProcess] = []

    async def execute(self, line: str) -> ScriptedProcess:
        first, second = re.findall(r" 'gswarm' '(\w+)' '(\w+)'", line)[0]
        marker = (first + second).encode()
        self.processes.append(ScriptedProcess(self._says.pop(0)(marker)))
        return self.processes[-1]


class ScriptedProcess:
    def __init__(self, chunks: list[bytes | Exception]) -> None:
        self._chunks = chunks
        self.sent = b""
        self.closed = False
        self.stdin = self
        self.stdout = self
        self.stderr = asyncio.StreamReader()
        self.stderr.feed_data(b"on stderr")
        self.stderr.feed_eof()

    async def read(self, size: int) -> bytes:
        if not self._chunks:
            return b""
        chunk = self._chunks.pop(0)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None:
        pass

    async def finish(self) -> int:
        return 9

    async def close(self) -> None:
        self.closed = True


class NoBundles(Bundles):
    def __init__(self) -> None:
        pass

    async def archive(self, platform: str) -> bytes:
        return b"archive for " + platform.encode()


async def start(script: Script, **options: Any) -> Listening:
    return await start_helper(script, SPEC, NoBundles(), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "banner",
    [b"", b"Welcome!\r\n", b"\x00\xff" * 40_000, b"x" * 3_000_000],
    ids=["none", "greeting", "binary", "long"],
)
async def test_whatever_comes_before_the_marker(banner: bytes) -> None:
    script = Script(
        lambda marker: [banner, marker + FOUND + READY] if banner else [marker, FOUND, READY]
    )
    assert await start(script) == Listening("/run/x.sock", 7)
    assert script.processes[0].closed


async def test_a_marker_in_pieces_after_a_false_start() -> None:
    def says(marker: bytes) -> list[bytes | Exception]:
        text = marker[:10] + marker + FOUND + READY
        return [text[at : at + 1] for at in range(len(text))]

    assert (await start(Script(says))).pid == 7


async def test_the_bundle_is_sent_when_it_is_asked_for() -> None:
    script = Script(lambda marker: [marker + MISSING, READY])
    await start(script)
    header, _, data = script.processes[0].sent.partition(b"\n")
    assert header.split()[0] == str(len(data)).encode()
    assert data == b"archive for linux-x86_64-glibc"


async def test_no_bundle_is_sent_when_it_is_not() -> None:
    script = Script(lambda marker: [marker + FOUND, READY])
    await start(script)
    assert script.processes[0].sent == b""


async def test_a_shell_that_ends_is_quoted_without_control_characters() -> None:
    script = Script(lambda marker: [b"\x1b[31mno \x07login\r\nhere"])
    with pytest.raises(
        BootstrapError, match=r"exit status 9.*printed: \[31mno login here"
    ) as caught:
        await start(script)
    assert "on stderr" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert str(caught.value).startswith("node1: ")


async def test_a_shell_that_never_stops_printing() -> None:
    script = Script(lambda marker: [b"spam " * 20_000] * 200)
    with pytest.raises(BootstrapError, match="prints without end"):
        await start(script)
    assert script.processes[0].closed


async def test_a_shell_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_ANSWER_TIMEOUT_S", 0.01)
    script = Script(lambda marker: [b"Password: "])
    original = ScriptedProcess.read

    async def read(self: ScriptedProcess, size: int) -> bytes:
        return await original(self, size) or await asyncio.Event().wait()  # type: ignore[return-value]

    monkeypatch.setattr(ScriptedProcess, "read", read)
    with pytest.raises(BootstrapError, match=r"no answer.*Password:"):
        await start(script)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"report {'bundle': ", "malformed"),
        (b"report __import__('os').getcwd()", "malformed"),
        (b"ready {", "malformed"),
        (b"ready {}", "malformed"),
        (b"report {}", "malformed"),
        (b"report 1", "malformed"),
        (b"hello world", "not known here"),
        (b"failed ('no room', 'make room')", "no room"),
        (b'ready {"error": {"message": "bad", "where": "/x", "hint": "h"}}', "/x: bad"),
    ],
)
async def test_answers_that_make_no_sense(line: bytes, reason: str) -> None:
    script = Script(lambda marker: [marker + line + b"\n"])
    with pytest.raises(BootstrapError, match=reason):
        await start(script)
    assert script.processes[0].closed


async def test_an_answer_without_end() -> None:
    script = Script(lambda marker: [marker, *[b"x" * 65_536] * 20])
    with pytest.raises(BootstrapError, match="too long"):
        await start(script)


async def test_a_connection_that_is_cut() -> None:
    script = Script(lambda marker: [marker + MISSING, ConnectionResetError("cut")])
    with pytest.raises(UnreachableError, match="connection was lost"):
        await start(script)


async def test_a_bundle_that_does_not_start_is_sent_again() -> None:
    script = Script(
        lambda marker: [marker + FOUND, b"failed ('the helper did not start', 'h')\n"],
        lambda marker: [marker + MISSING, READY],
    )
    assert (await start(script)).pid == 7
    assert script.processes[1].sent


async def test_one_that_was_just_sent_is_not() -> None:
    script = Script(
        lambda marker: [marker + MISSING, b"failed ('the helper did not start', 'h')\n"]
    )
    with pytest.raises(BootstrapError, match="did not start"):
        await start(script)
