"""What it costs to look at a playbook: plan, compare with the fleet, draw, explain.

    python benchmarks/check.py [--models 500] [--nodes 50] [--rounds 3]

Each model is downloaded to one node and copied to the next one, and served there: three actions a
model. The nodes are those of the tests, in memory: what is left is gswarm's own part. The peer is
what no comparison can do without: asking each node twice, in the same run.

Each figure is the best of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from gswarm_tui import sources
from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan, plan
from gswarm_tui.playbook.check.compare import compare
from gswarm_tui.playbook.drawing import FORMATS, lanes, steps_of
from gswarm_tui.playbook.explain import explain
from gswarm_tui.playbook.language import schema
from gswarm_tui.sources import Resolved, SourceFile
from gswarm_tui.state.database import Database
from gswarm_tui.state.models import Registry
from gswarm_tui.yamlfile import load_yaml
from tests.models.fake import INFO, FakeFleet

LIMIT_MS = 1.0
"""For an action, all of it together."""


def text(models: int, nodes: int) -> str:
    lines = []
    for index in range(models):
        here, there, name = index % nodes, (index + 1) % nodes, f"m{index}"
        disks = [f"node{here}:disk", f"node{there}:disk"]
        for action in (
            {"action_type": "download", "source": "hf://o/m", "device": disks[0]},
            {"action_type": "copy", "devices": disks, "dependencies": [f"{name}-download"]},
            {
                "action_type": "serve",
                "device": f"node{there}:gpu{index // nodes}",
                "dependencies": [f"{name}-copy"],
            },
        ):
            action_id = f"{name}-{action['action_type']}"
            lines.append(json.dumps({"action_id": action_id, "model_name": name, **action}))
    return "".join(f"- {line}\n" for line in lines)


async def measure(reference: str, **_: Any) -> Resolved:
    return Resolved(reference, "fetch", "m", "c1", files=(SourceFile("w", size=1_000_000),))


def best(rounds: int, work: Callable[[], object]) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    fleet = FakeFleet(*(NodeSpec(f"node{i}", f"10.1.0.{i}") for i in range(given.nodes)))
    gpus = [{"index": index} for index in range(given.models // given.nodes + 1)]
    for node in fleet.nodes.values():
        node.info = {**INFO, "gpus": gpus}
    sources.measure = measure
    document = load_yaml(text(given.models, given.nodes), name="p.yaml")
    playbook = schema.read(document, {}, default_name="p")

    def planned() -> Plan:
        return plan(playbook, fleet.inventory)

    with tempfile.TemporaryDirectory() as folder, Database(Path(folder) / "g.db") as database:
        models = Models(fleet, Registry(database))  # type: ignore[arg-type]
        made = planned()
        steps = steps_of(made)
        found = asyncio.run(compare(made, models))
        assert not found.problems, found.problems[:3]
        figures = {
            "ask the nodes (peer)": lambda: asyncio.run(models.look(models.nodes)),
            "plan": planned,
            "compare": lambda: asyncio.run(compare(made, models)),
            "graph, text": lambda: lanes.draw(steps_of(made), width=80),
            "graph, svg": lambda: FORMATS["svg"]("p", steps),
            "explain": lambda: list(explain(playbook, made)),
        }
        count, total = len(made.actions), 0.0
        print(f"{count} actions on {given.nodes} nodes; ms an action")
        for name, work in figures.items():
            ms = best(given.rounds, work) * 1000 / count
            total += 0.0 if "peer" in name else ms
            print(f"  {name:<22}{ms:8.3f}")
    print(f"  {'all of it':<22}{total:8.3f}  (at most {LIMIT_MS})")
    return 0 if total <= LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
