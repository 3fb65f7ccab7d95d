from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from gswarm_tui.errors import GswarmError, UsageError
from gswarm_tui.hub.server import running, url_of
from gswarm_tui.loopback import is_loopback


async def test_a_port_that_is_taken_names_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(GswarmError, match=f"127.0.0.1:{port} is taken") as raised:
            async with running(tmp_path, port=port):
                pass
    assert f"process {os.getpid()}" in str(raised.value)


async def test_an_open_address_needs_a_token(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can be reached by others"):
        async with running(tmp_path, host="0.0.0.0"):
            pass
    async with running(tmp_path, host="0.0.0.0", token="secret") as hub:
        port = hub.url.rpartition(":")[2]
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{port}/api/models/a/b")
        assert answer.status_code == 401


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        async with running(tmp_path / "none"):
            pass


async def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    with pytest.raises(GswarmError):
        async with running(tmp_path, host="no-such-host.invalid", token="secret"):
            pass


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("::", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_url_of() -> None:
    assert url_of("127.0.0.1", 80) == "http://127.0.0.1:80"
    assert url_of("[::1]", 8000) == "http://[::1]:8000"
    assert url_of("0.0.0.0", 1) == f"http://{socket.gethostname()}:1"


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "acme" / "tiny").mkdir(parents=True)
    (tmp_path / "acme" / "tiny" / "config.json").write_bytes(b"{}")
    with subprocess.Popen(
        [sys.executable, "-m", "gswarm_tui.cli", "hub", "serve", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert process.stdout.readline().strip() == f"export HF_ENDPOINT={url}"
        answer = httpx2.get(f"{url}/acme/tiny/resolve/main/config.json", trust_env=False)
        assert answer.content == b"{}"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "hf://acme/tiny" in said
    assert "Traceback" not in said


def test_the_command_without_a_token_in_its_variable(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "gswarm_tui.cli",
            "hub",
            "serve",
            str(tmp_path),
            "--token-env",
            "NONE",
        ],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "NONE"},
    )
    assert done.returncode == 2
    assert "error: $NONE holds no token" in done.stderr
    assert "Traceback" not in done.stderr
