"""What nodes say of themselves (``node.info``), as people read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from gswarm_tui.cli import output
from gswarm_tui.errors import GswarmError

if TYPE_CHECKING:
    from gswarm_tui.cli.context import Session

Answers: TypeAlias = Mapping[str, Any]
"""Node to the helper's answer, or to the `GswarmError` that came instead."""


def say_where_nodes_come_from(session: Session) -> None:
    """Say so where no inventory was found: a typo in a folder's name is seen then."""
    if session.inventory.path is None:
        places = f"$GSWARM_INVENTORY, ./inventory.yaml, {session.home.inventory}"
        output.say(f"no inventory found (looked at {places}): this machine is the only node")


def document(name: str, answer: Any) -> dict[str, Any]:
    """A node as `--json` has it: the answer itself, below its name and state."""
    if isinstance(answer, GswarmError):
        return {"name": name, "state": "unreachable", "error": str(answer), "hint": answer.hint}
    return {"name": name, "state": "up", **answer}


def table(answers: Answers) -> None:
    output.table(
        ("node", "state", "helper", "gpus", "disk free", "dram free", "note"),
        [_row(name, answer) for name, answer in answers.items()],
        apart=("note",),
    )


def _row(name: str, answer: Any) -> tuple[Any, ...]:
    if isinstance(answer, GswarmError):
        reason = " ".join(answer.message.split())
        hint = f" ({' '.join(answer.hint.split())})" if answer.hint else ""
        return name, "unreachable", None, None, None, None, reason + hint
    helper = answer["helper"]
    return (
        name,
        "up",
        f"{helper['pid']} ({output.size(helper['rss'])})",
        gpus(answer),
        output.size((answer["disk"] or {}).get("free")),
        output.size((answer["dram"] or {}).get("free")),
        answer["gpus_error"],
    )


def gpus(answer: Mapping[str, Any]) -> str:
    """``8 × NVIDIA H200, 12 % busy, 33 GB of 1.1 TB``."""
    found = answer["gpus"]
    if found is None:
        return "unknown"
    if not found:
        return "none"
    names = Counter(_called(gpu) for gpu in found)
    parts = [", ".join(f"{count} × {name}" for name, count in names.items())]
    busy = [g["utilization_percent"] for g in found if g["utilization_percent"] is not None]
    if busy:
        parts.append(f"{sum(busy) / len(busy):.0f} % busy")
    memory = [g for g in found if g["memory_used"] is not None and g["memory_total"] is not None]
    if memory:
        used, total = (sum(g[key] for g in memory) for key in ("memory_used", "memory_total"))
        parts.append(f"{output.size(used)} of {output.size(total)}")
    return ", ".join(parts)


def _called(gpu: Mapping[str, Any]) -> str:
    """Its name; one with which the driver has no contact may have none."""
    return f"{gpu['name'] or 'GPU'}{' (lost)' if gpu.get('lost') else ''}"


def details(answers: Answers) -> None:
    """Each node's machine, helper, space and GPUs."""
    for name, answer in answers.items():
        if isinstance(answer, GswarmError):
            continue
        output.show()
        output.fields([("node", name), *_facts(answer)])
        if answer["gpus"]:
            output.show()
            _gpu_table(answer["gpus"])


def _facts(answer: Mapping[str, Any]) -> list[tuple[str, Any]]:
    helper = answer["helper"]
    reasons = ", ".join(helper["reasons"]) or "nothing"
    load = answer["load1"]
    return [
        ("host", answer["hostname"]),
        ("system", f"{answer['os']}, {answer['arch']}, Python {answer['python']}"),
        ("processors", f"{answer['cpu_count']}, load {load:.2f}" if load is not None else None),
        ("memory", _of(answer["memory_available"], answer["memory_total"])),
        ("disk", _space(answer["disk"])),
        ("dram", _space(answer["dram"])),
        (
            "helper",
            f"process {helper['pid']}, {output.size(helper['rss'])},"
            f" up {output.duration(helper['uptime_s'])}, code {str(helper['hash'])[:12]}",
        ),
        ("stays for", reasons),
        ("lingers", answer["linger"]),
        ("GPUs", answer["gpus_error"] or gpus(answer)),
    ]


def _of(free: float | None, total: float | None) -> str | None:
    return None if total is None else f"{output.size(free)} free of {output.size(total)}"


def _space(space: Mapping[str, Any] | None) -> str | None:
    if space is None:
        return None
    quota = f", at most {output.size(space['quota'])}" if space["quota"] is not None else ""
    used = output.size(space["used_by_models"])
    return f"{_of(space['free'], space['total'])}, models {used}{quota} in {space['path']}"


def _gpu_table(found: list[Mapping[str, Any]]) -> None:
    output.table(
        ("gpu", "name", "busy", "memory", "temperature", "power", "processes"),
        [
            (
                f"gpu{gpu['index']}",
                _called(gpu),
                _unit(gpu["utilization_percent"], "%"),
                _used(gpu["memory_used"], gpu["memory_total"]),
                _unit(gpu["temperature_c"], "°C"),
                _unit(gpu["power_w"], "W"),
                [
                    f"{process['pid']} {output.cell(process['user'])}"
                    f" {output.size(process['memory'])}"
                    for process in gpu["processes"] or ()
                ],
            )
            for gpu in found
        ],
    )


def _unit(value: float | None, unit: str) -> str | None:
    return None if value is None else f"{value:.0f} {unit}"


def _used(used: float | None, total: float | None) -> str | None:
    return None if total is None else f"{output.size(used)} of {output.size(total)}"


def show_operations(found: list[dict[str, Any]]) -> None:
    """What nodes are doing, where they do anything."""
    if not found:
        return
    output.show()
    output.table(
        ("node", "operation", "model", "from", "tier", "phase", "done", "rate", "limited by"),
        [
            (
                item["node"],
                item["kind"],
                item["model"],
                item.get("source"),
                item["tier"],
                item.get("phase"),
                _used(item.get("done"), item.get("total")),
                f"{output.size(item['rate'])}/s" if item.get("rate") else None,
                item.get("limited_by"),
            )
            for item in found
        ],
    )
