"""What is imported before the first screen; each of these takes as long as a part of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import asyncio, json, sys
from gswarm_tui.tui import main
app = main._real(main.parse(sys.argv[1:]))
def begun():
    nodes = [node.name for node in app.snapshot.nodes]
    app.exit(print(json.dumps([nodes, list(sys.modules)])))
app._begin = begun
asyncio.run(app.run_async(headless=True))
"""

LATER = {
    "asyncssh",
    "cryptography",
    "huggingface_hub",
    "msgpack",
    "psutil",
    "pydantic",
    "sqlite3",
    "typer",
    "yaml",
    "gswarm_tui.fleet",
    "gswarm_tui.jobs",
    "gswarm_tui.playbook",
    "gswarm_tui.tui.screens.models",
    "gswarm_tui.tui.widgets.dialog",
    "gswarm_tui.watch.watcher",
}


def test_what_takes_long_comes_after_the_first_screen(tmp_path: Path) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text("nodes: {near: {connection: local}, far: {host: 192.0.2.1}}")
    argv = [sys.executable, "-c", SCRIPT, "-i", str(file), "--data-dir", str(tmp_path)]
    for _ in range(2):  # the first one reads the inventory
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    nodes, modules = json.loads(ran.stdout)
    assert nodes == ["near", "far"]
    assert LATER.isdisjoint(modules)
