"""What is asked before models are placed: which devices, with those that are likely in front."""

from __future__ import annotations

from collections.abc import Sequence

from gswarm_tui import wording
from gswarm_tui.errors import UsageError
from gswarm_tui.tui import placing
from gswarm_tui.tui.widgets.dialog import Field, Flag, Form
from gswarm_tui.watch.snapshot import Copy, FleetSnapshot, GpuState, Model, NodeState

_SEVERAL = "several with commas; Tab completes"


def download(models: Sequence[Model], snapshot: FleetSnapshot) -> Form:
    """Bring models from where they come from."""
    names = [model.name for model in models]
    fields: list[Field | Flag] = [
        Field("to", "to", words=stores(snapshot), hint=f"node1:disk, {_SEVERAL}")
    ]
    if len(models) == 1:
        known = models[0].source or ""
        hint = f"{known} if nothing stands here" if known else "hf://org/name, https://…"
        fields.append(Field("source", "from", hint=hint))
    return Form(
        f"download {_listed(names)}",
        tuple(fields),
        lambda given: placing.download(names, given["to"], given.get("source", "")),
        about=_sizes(models),
    )


def replicate(models: Sequence[Model], snapshot: FleetSnapshot, source: str = "") -> Form:
    """Copy models to more places."""
    names = [model.name for model in models]
    origins = {model.name: source or _first_whole(model) for model in models}
    fields: list[Field | Flag] = []
    if len(models) == 1:
        fields.append(Field("from", "from", origins[names[0]], _holders(models[0])))
    fields.append(Field("to", "to", words=stores(snapshot), hint=f"node2:disk, {_SEVERAL}"))
    return Form(
        f"copy {_listed(names)}",
        tuple(fields),
        lambda given: placing.replicate(
            {**origins, **({names[0]: given["from"]} if "from" in given else {})}, given["to"]
        ),
        about=_sizes(models),
    )


def move(model: Model, snapshot: FleetSnapshot, source: str = "") -> Form:
    """Move one model."""
    return Form(
        f"move {model.name}",
        (
            Field("from", "from", source or _first_whole(model), _holders(model)),
            Field("to", "to", words=places(snapshot), hint="node1:gpu0, node1:dram, node2:disk"),
            Field("engine", "engine", hint="vllm, mlx…; what the node has if nothing stands here"),
            Flag("keep", "the source keeps its copy", True),
        ),
        lambda given: placing.move(
            *(model.name, given["from"], given["to"]),
            keep=bool(given["keep"]),
            snapshot=snapshot,
            engine=given["engine"],
        ),
        about=_sizes([model]),
    )


def serve(model: Model, snapshot: FleetSnapshot, place: str = "") -> Form:
    """Publish one model."""
    return Form(
        f"serve {model.name}",
        (
            Field("on", "on", place, engines(snapshot), f"node1:gpu0, {_SEVERAL}"),
            Field("port", "port", hint="a free one if nothing stands here"),
            Field("engine", "engine", hint="vllm, mlx…; what the node has if nothing stands here"),
        ),
        lambda given: placing.serve(
            model.name, given["on"], port=given["port"], engine=given["engine"]
        ),
        about=f"it is on {_listed([copy.device for copy in placing.whole(model)]) or 'no node'}",
    )


def delete(models: Sequence[Model], snapshot: FleetSnapshot) -> Form:
    """Remove copies of models."""
    held = {copy.device: None for model in models for copy in model.copies}

    def chosen(text: str) -> list[Copy]:
        devices = placing.read_devices(text)
        found = [c for model in models for c in model.copies if c.device in devices]
        for device in devices:
            if device not in held:
                raise UsageError(f"{device} has none of {_listed([m.name for m in models])}")
        return found

    return Form(
        f"delete {_listed([model.name for model in models])}",
        (Field("from", "from", words=tuple(held), hint=f"node1:disk, {_SEVERAL}"),),
        lambda given: placing.delete(chosen(given["from"]), snapshot),
        about=f"there are copies on {_listed(list(held)[:12]) or 'no node'}",
    )


def stores(snapshot: FleetSnapshot) -> list[str]:
    """The disks and the memory of the nodes that answer."""
    up = [node.name for node in snapshot.nodes if node.state is NodeState.UP]
    return [f"{node}:{tier}" for tier in ("disk", "dram") for node in up]


def engines(snapshot: FleetSnapshot) -> list[str]:
    """Where an engine can run: GPUs, the idle ones first, and memory."""
    up = [node for node in snapshot.nodes if node.state is NodeState.UP]
    gpus = [gpu for node in up for gpu in node.gpus if gpu.state is GpuState.OK]
    gpus.sort(key=lambda gpu: bool(gpu.processes))
    return [*(f"{g.node}:gpu{g.index}" for g in gpus), *(f"{node.name}:dram" for node in up)]


def places(snapshot: FleetSnapshot) -> list[str]:
    """All devices of the nodes that answer."""
    return [*stores(snapshot), *(name for name in engines(snapshot) if "gpu" in name)]


def _holders(model: Model) -> list[str]:
    return [copy.device for copy in model.copies if copy.state == placing.WHOLE]


def _first_whole(model: Model) -> str:
    """Where it is copied from: a disk rather than memory."""
    found = sorted(placing.whole(model), key=lambda copy: not copy.device.endswith(":disk"))
    return found[0].device if found else ""


def _sizes(models: Sequence[Model]) -> str:
    return ", ".join(_size(model) for model in models)


def _size(model: Model) -> str:
    return f"{model.name}: {wording.size(model.size_bytes)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
