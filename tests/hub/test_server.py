from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from gswarm_tui.errors import UsageError
from gswarm_tui.hub.server import running


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
