"""Random playbooks: graphs of up to 60 tasks that use every key of the language that decides."""

from __future__ import annotations

from random import Random
from typing import Any

import yaml


def write(random: Random, size: int) -> str:
    """The text of a playbook with `size` actions."""
    ends = random.randint(0, min(3, size - 1)) if random.random() < 0.4 else 0
    names = [f"t{n}" for n in range(size - ends)]
    content: dict[str, Any] = {"name": f"p{random.randint(0, 1)}"}
    if random.random() < 0.2:
        content["on_failure"] = "stop"
    if random.random() < 0.1:
        content["timeout"] = random.choice([1, 4, 20])
    types: dict[str, str] = {}
    content["actions"] = [_action(random, name, types) for name in names]
    if ends:
        types = {}
        last = [_action(random, f"z{n}", types) for n in range(ends)]
        content["always"] = last
    return yaml.safe_dump(content)


def _action(random: Random, name: str, types: dict[str, str]) -> dict[str, Any]:
    written = _work(random, name, types)
    if types and random.random() < 0.7:
        earlier = list(types)[-random.randint(1, len(types)) :]
        count = min(len(earlier), random.choice([1, 1, 2, 3]))
        written["dependencies"] = random.sample(earlier, count)
    if random.random() < 0.15:
        written["on_failure"] = random.choice(["stop", "continue", "continue"])
    if random.random() < 0.15:
        written["timeout"] = random.choice([0.5, 2, 30])
    if random.random() < 0.2:
        written["priority"] = random.choice(["critical", "high", "normal", "low"])
    if random.random() < 0.5:
        written["retry"] = {"attempts": random.randint(1, 4), "backoff": random.choice([0, 0.3])}
        if random.random() < 0.3:
            written["retry"]["on"] = ["source", "unreachable"]
    commands = [each for each, kind in types.items() if kind == "command"]
    if random.random() < 0.15:
        outputs = [f"${{{each}.skipped}}" for each in commands]
        written["when"] = random.choice([False, True, *outputs])
    types[name] = written["action_type"]
    return {"action_id": name, **written}


def _work(random: Random, name: str, types: dict[str, str]) -> dict[str, Any]:
    node, other = random.sample(["node1", "node2"], 2)
    model = f"m{name}"
    commands = [each for each, kind in types.items() if kind == "command"]
    chance = random.random()
    if chance < 0.35:
        source = random.choice([node, node, other])
        gpu = f"{node}:gpu{random.randint(0, 1)}"
        return {"action_type": "move", "model_name": model, "devices": [f"{source}:disk", gpu]}
    if chance < 0.5:
        return {
            "action_type": "download",
            "model_name": model,
            "source": "hf://a/b",
            "device": f"{node}:disk",
        }
    if chance < 0.75:
        argv = ["work", random.choice(["skip", "go"])]
        return {"action_type": "command", "node": node, "argv": argv}
    if chance < 0.8 and commands:
        # What comes out of a command here is no URL: the value does not fit.
        late = f"${{{random.choice(commands)}.output}}"
        return {"action_type": "health_check", "target_url": late}
    return {"action_type": "health_check", "target_url": f"http://{name}/"}
