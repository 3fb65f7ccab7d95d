"""The store works on the oldest and the newest Python that nodes have, and with bare ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgpack
import pytest

from ... import pythons

REMOTE = Path(__file__).parents[3] / "remote"

SCRIPT = """
import sys, threading, pathlib
sys.path[:0] = [sys.argv[1], sys.argv[2] + "/vendored"]
from gswarm_remote.models import adopt, handlers, scan, stage, verify
from gswarm_remote.models.store import Store
quiet = dict(report=lambda report: None, cancelled=threading.Event())
here = pathlib.Path(sys.argv[2])
(here / "mine").mkdir()
(here / "mine" / "w.gguf").write_bytes(b"weights" * 100)
disk, dram = Store(here / "disk"), Store(here / "dram")
found = adopt.Found(here / "mine", "tiny")
print(adopt.adopt(disk, found, "link", **quiet).hash)
print(stage.stage(disk, dram, "tiny", None, remove_source=True, **quiet).hash)
print(verify.verify(dram, "tiny", None, **quiet)["ok"], disk.copies("disk"))
print(len(scan.scan(dram, [here / "mine"], cancelled=threading.Event())))
"""


@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_store_on(version: str, tmp_path: Path) -> None:
    python = pythons.find(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    (tmp_path / "vendored").mkdir()
    (tmp_path / "vendored/msgpack").symlink_to(Path(msgpack.__file__).parent)
    result = subprocess.run(
        [python, "-I", "-S", "-W", "error", "-c", SCRIPT, str(REMOTE), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == lines[1]
    assert lines[2:] == ["True []", "1"]
