"""SIGKILL of the controller at every transition of a real playbook on real nodes, then a resume.

Whatever the moment, the job succeeds in the end, and the nodes have done each thing once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .. import sshd
from .lab import WEIGHTS, Lab, hub_server, sha256, until
from .lab import Models as Repositories
from .tap import tapped

MORTAL = Path(__file__).with_name("mortal.py")
MOST = 40
"""More than there are transitions."""
SIZE = 300_000

PLAYBOOK = """
name: mortal
vars: {model: ""}
actions:
  - {action_id: fetch, action_type: download, model_name: "${vars.model}",
     source: "hf://lab/${vars.model}", device: "node1:disk"}
  - {action_id: stage, action_type: copy, model_name: "${vars.model}",
     devices: ["node1:disk", "node2:disk"], dependencies: [fetch]}
  - {action_id: note, action_type: command, node: node1, dependencies: [fetch],
     argv: [sh, -c, "(echo begun; sleep 0.2; echo ended) >> FOLDER/${vars.model}"]}
  - {action_id: over, action_type: noop, message: "${note.output}", dependencies: [stage]}
"""
AT_LEAST = {"event": 10, "before": 14, "after": 14, "moment": 5}
"""How often the controller dies: where tasks and the job are queued, begin and end."""


@pytest.mark.parametrize("kind", ["event", "before", "after", "moment"])
def test_killed_at_every_transition(lab: Lab, tmp_path: Path, kind: str) -> None:
    content = {}
    for n in range(1, MOST):
        repository = tmp_path / "models" / "lab" / f"{kind}-{n}"
        repository.mkdir(parents=True)
        (repository / WEIGHTS).write_bytes(os.urandom(SIZE))
        content[n] = sha256(repository / WEIGHTS)
    lab.nodes(node1={}, node2={})
    notes = lab.folder / "notes"
    notes.mkdir()
    file = lab.folder / "mortal.yaml"
    file.write_text(PLAYBOOK.replace("FOLDER", str(notes)))
    served = Repositories(tmp_path / "models", "")
    with hub_server(served, tmp_path / "log") as url, tapped(url) as tap:
        environment = {**lab.environment, "HF_ENDPOINT": tap.url}
        ended = subprocess.run(
            [sys.executable, MORTAL, lab.folder / "runs", lab.inventory, file, kind],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        asked = [request.path for request in tap.requests if request.file == WEIGHTS]
    runs = {int(run.name.rpartition("-")[2]): run for run in (lab.folder / "runs").iterdir()}
    ends = {n: json.loads((run / "ended.json").read_text()) for n, run in runs.items()}
    deaths = [n for n, end in ends.items() if end["resumed"]]
    assert len(deaths) >= AT_LEAST[kind]
    for n, end in ends.items():
        name = f"{kind}-{n}"
        expected = dict.fromkeys(("fetch", "stage", "note", "over"), "succeeded")
        assert (end["code"], end["tasks"]) == (0, expected), name
        assert len([path for path in asked if f"/{name}/" in path]) == 1, name
        assert (notes / name).read_text() == "begun\nended\n", name
        for node in ("node1", "node2"):
            (copy,) = (lab.store(node) / name).glob(f"*/{WEIGHTS}")
            assert sha256(copy) == content[n]
    assert not list(lab.folder.glob("node*/models/.gswarm/partial/*/journal"))
    helpers = {lab.helper("node1"), lab.helper("node2")}
    until(lambda: set(sshd.processes_below(lab.folder)) <= helpers, "the end of all else")
