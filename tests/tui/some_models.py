"""A small fleet with models in every state."""

from __future__ import annotations

from dataclasses import replace

from gswarm_tui.watch.snapshot import Copy, FleetSnapshot, Host, Model, Service, Transfer

from .fleets import GB, NOW, fleet, gpu, node

REVISION = "0123456789abcdef0123456789abcdef01234567"


def copy(model: str, device: str, state: str = "ready", **fields: object) -> Copy:
    verified = {"ready": True, "damaged": False, "changed": False}.get(state)
    known: dict[str, object] = {
        "revision": REVISION,
        "size_bytes": 16 * GB,
        "hash": "sha256:ab",
        "verified": verified,
    }
    return Copy(model=model, device=device, state=state, **{**known, **fields})  # type: ignore[arg-type]


def service(model: str = "llama", at: str = "beta", **fields: object) -> Service:
    known: dict[str, object] = {
        "model": model,
        "node": at,
        "devices": (f"{at}:gpu0",),
        "engine": "vllm",
        "state": "ready",
        "address": "127.0.0.1",
        "port": 8000,
        "url": f"http://{at}:8000",
        "service": f"{model}-8000",
        "replica": f"{model}-0",
        "started_at": NOW - 3600,
        "requests": 12345,
        "running": 7,
        "waiting": 2,
        "kv_cache_percent": 83.0,
        "prompt_tokens_per_s": 3000.0,
        "generation_tokens_per_s": 1234.0,
        "time_to_first_token_s": 0.25,
    }
    return Service(**{**known, **fields})  # type: ignore[arg-type]


def transfer(**fields: object) -> Transfer:
    known: dict[str, object] = {
        "model": "qwen",
        "source": "hf://Qwen/Qwen3",
        "target": "beta:disk",
        "phase": "downloading",
        "done_bytes": 4 * GB,
        "total_bytes": 10 * GB,
        "rate_bytes_per_s": 100e6,
        "started_at": NOW - 40,
        "job": 17,
        "limit": "the disk of beta",
    }
    return Transfer(**{**known, **fields})  # type: ignore[arg-type]


def placed() -> FleetSnapshot:
    """Two nodes and four models: whole, in memory, served, on their way, unfinished, nowhere."""
    disks = {"alpha": 1200 * GB, "beta": 3 * GB}
    nodes = [
        node(name, gpu(name, 0), host=Host(disk_free_bytes=free, disk_total_bytes=2000 * GB))
        for name, free in disks.items()
    ]
    models = (
        Model(
            "llama",
            "hf://meta/Llama",
            "llm",
            16 * GB,
            (
                copy("llama", "alpha:disk"),
                copy("llama", "beta:disk"),
                copy("llama", "beta:dram"),
                copy("llama", "beta:gpu0", size_bytes=None, hash=None, verified=None),
            ),
            registered=True,
        ),
        Model(
            "qwen",
            "hf://Qwen/Qwen3",
            "llm",
            10 * GB,
            (
                copy("qwen", "alpha:disk", "partial", done_bytes=GB, waiting="credentials"),
                copy("qwen", "beta:disk", "in flight", size_bytes=10 * GB, done_bytes=4 * GB),
            ),
            registered=True,
        ),
        Model("lone", None, None, 2 * GB, (copy("lone", "alpha:disk"),), registered=False),
        Model("paper", "hf://org/paper", "llm", None, (), registered=True),
        Model(
            *("rotten", "hf://org/rotten", "llm", 16 * GB),
            (
                copy("rotten", "alpha:disk", verified_at=NOW),
                copy("rotten", "beta:disk", "damaged", verified_at=NOW, bad_files=2),
                copy("rotten", "beta:dram", "changed"),
            ),
            registered=True,
        ),
    )
    return fleet(*nodes, models=models, services=(service(),), transfers=(transfer(),))


def without_services() -> FleetSnapshot:
    return replace(placed(), services=(), transfers=())
