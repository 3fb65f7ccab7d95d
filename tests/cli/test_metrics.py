from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2 as httpx
import pytest

from .conftest import Command


def test_a_token_that_is_not_there_and_an_open_address_without_one(
    gswarm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("METRICS_TOKEN", raising=False)
    ended = gswarm("metrics", "serve", "--port", "0", "--token-env", "METRICS_TOKEN")
    assert (ended.code, "$METRICS_TOKEN holds no token" in ended.err) == (2, True)


def test_a_real_helper_is_told_to_prometheus(tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(
        "nodes:\n"
        f"  n1: {{connection: local, root: {tmp_path}/n1, simulate: {{gpus: 2, seed: 4}}}}\n"
        "  gone: {host: 127.0.0.1, port: 1}\n"
    )
    environment = {
        **os.environ,
        "GSWARM_HOME": str(tmp_path / "home"),
        "GSWARM_INVENTORY": str(tmp_path / "inventory.yaml"),
        "GSWARM_IDLE_EXIT": "1",
        "METRICS_TOKEN": "secret",
    }
    argv = [sys.executable, "-m", "gswarm_tui.cli", "metrics", "serve", "--port", "0"]
    with subprocess.Popen(
        [*argv, "--token-env", "METRICS_TOKEN"], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx.get(url).status_code == 401
        headers = {"Authorization": "Bearer secret"}
        text, deadline = "", time.monotonic() + 60
        while "DCGM_FI_DEV_FB_USED{" not in text or 'node_up{node="gone"} 0' not in text:
            assert process.poll() is None
            assert time.monotonic() < deadline, text
            text = httpx.get(url, headers=headers).text
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(20) == 0
    assert 'gswarm_node_up{node="n1"} 1' in text
    assert 'node="gone",gpu' not in text
