"""What is asked before models are placed: which devices, with those that are likely in front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gswarm_tui import wording
from gswarm_tui.errors import UsageError
from gswarm_tui.tui import placing
from gswarm_tui.tui.acting import Deed
from gswarm_tui.tui.widgets.dialog import Field, Flag, Form
from gswarm_tui.watch.snapshot import Copy, FleetSnapshot, GpuState, Model, NodeState

_SEVERAL: Final = "several with commas; Tab completes"
_ENGINES: Final = "vllm, mlx…; what the node has if nothing stands here"
BY_HAND: Final = "gswarm model download NAME --source hf://ORG/NAME --node NODE"
"""The command line that brings the first model."""
_SHOWN: Final = 12
"""As many places are named in a form."""


def download(models: Sequence[Model], snapshot: FleetSnapshot) -> Form:
    """Bring models from where they come from."""
    names = [model.name for model in models]
    fields: list[Field | Flag] = [
        Field("device", "device", words=stores(snapshot), hint=_such_as(stores(snapshot)))
    ]
    if len(models) == 1:
        known = models[0].source or ""
        hint = f"{known} if nothing stands here" if known else "hf://org/name, https://…"
        fields.append(Field("source", "source", hint=hint))
    return Form(
        f"download {_listed(names)}",
        tuple(fields),
        lambda given: placing.download(names, given["device"], given.get("source", "")),
        about=_sizes(models),
    )


def download_new(name: str, snapshot: FleetSnapshot) -> Form:
    """Bring a model that the fleet does not have.

    Args:
        name: what stands in the line for its name.
    """
    return Form(
        "download a model",
        (
            Field("name", "name", name, hint="what it is called from now on, such as qwen3"),
            Field("source", "source", hint="hf://org/name, https://…"),
            Field("device", "device", words=stores(snapshot), hint=_such_as(stores(snapshot))),
        ),
        _new,
        about=f"the same by hand: {BY_HAND}",
    )


def _new(given: Mapping[str, str]) -> Deed:
    for line in ("name", "source"):
        if not given[line]:
            raise UsageError(f"the line `{line}` is empty", hint=f"such as {BY_HAND}")
    return placing.download([given["name"]], given["device"], given["source"])


def copy(models: Sequence[Model], snapshot: FleetSnapshot, source: str = "") -> Form:
    """Copy models to more places."""
    origins = _origins(models, source)
    return Form(
        f"copy {_listed(list(origins))}",
        (*_from(models, origins), _elsewhere(stores(snapshot), origins)),
        lambda given: placing.copy(_chosen(origins, given), given["to"]),
        about=_sizes(models, origins),
    )


def move(models: Sequence[Model], snapshot: FleetSnapshot, source: str = "") -> Form:
    """Move models."""
    origins = _origins(models, source)
    return Form(
        f"move {_listed(list(origins))}",
        (
            *_from(models, origins),
            _elsewhere([*engines(snapshot), *stores(snapshot)], origins),
            Field("engine", "engine", hint=_ENGINES),
            Flag("keep", "keep the source", True),
        ),
        lambda given: placing.move(
            _chosen(origins, given),
            given["to"],
            keep=bool(given["keep"]),
            snapshot=snapshot,
            engine=given["engine"],
        ),
        about=_sizes(models, origins),
    )


def serve(models: Sequence[Model], snapshot: FleetSnapshot, place: str = "") -> Form:
    """Publish models: one at a chosen port, several each on its own devices at a free one."""
    words = engines(snapshot)
    engine = Field("engine", "engine", hint=_ENGINES)
    if len(models) == 1:
        (model,) = models
        where = _listed([copy.device for copy in placing.whole(model)])
        return Form(
            f"serve {model.name}",
            (
                Field("device", "device", place, words, _such_as(words)),
                Field("port", "port", hint="a free one if nothing stands here"),
                engine,
            ),
            lambda given: placing.serve(
                {model.name: given["device"]}, port=given["port"], engine=given["engine"]
            ),
            about=f"it is on {where or 'no node'}",
        )
    lines = {f"device-{number}": model.name for number, model in enumerate(models)}
    hint = _such_as(words)
    return Form(
        f"serve {_listed(list(lines.values()))}",
        (*(Field(key, name, words=words, hint=hint) for key, name in lines.items()), engine),
        lambda given: placing.serve(
            {name: given[key] for key, name in lines.items()}, engine=given["engine"]
        ),
        about="each at a free port of its nodes",
    )


def delete(models: Sequence[Model], snapshot: FleetSnapshot) -> Form:
    """Remove copies of models."""
    held = {copy.device: None for model in models for copy in model.copies}
    return Form(
        f"delete {_listed([model.name for model in models])}",
        (Field("device", "device", words=tuple(held), hint=_such_as(list(held))),),
        lambda given: placing.delete(_copies(models, given["device"]), snapshot),
        about=_there_are(list(held)),
    )


def verify(models: Sequence[Model]) -> Form:
    """Read copies of models again."""
    every = [copy for model in models for copy in model.copies]
    held = list(dict.fromkeys(copy.device for copy in every if copy.verified is not None))
    return Form(
        f"verify {_listed([model.name for model in models])}",
        (Field("device", "device", words=held, hint="every copy if nothing stands here"),),
        lambda given: placing.verify(
            _copies(models, given["device"]) if given["device"] else every
        ),
        about=_there_are(held),
    )


def _copies(models: Sequence[Model], text: str) -> list[Copy]:
    """The copies on the devices in a text.

    Raises:
        UsageError: one of them has none.
    """
    devices = placing.read_devices(text)
    found = [copy for model in models for copy in model.copies if copy.device in devices]
    for device in devices:
        if not any(copy.device == device for copy in found):
            raise UsageError(f"{device} has none of {_listed([m.name for m in models])}")
    return found


def _origins(models: Sequence[Model], source: str) -> dict[str, str]:
    """The place of each that it is taken from."""
    return {model.name: source or _first_whole(model) for model in models}


def _from(models: Sequence[Model], origins: Mapping[str, str]) -> list[Field | Flag]:
    """The line that asks for it; several models are each taken from where they are whole."""
    if len(models) > 1:
        return []
    return [Field("from", "from", origins[models[0].name], _holders(models[0]))]


def _chosen(origins: Mapping[str, str], given: Mapping[str, str]) -> Mapping[str, str]:
    return dict.fromkeys(origins, given["from"]) if "from" in given else origins


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


def _such_as(words: Sequence[str]) -> str:
    """What stands in a line while it is empty: a place that there is."""
    return f"such as {words[0]}, {_SEVERAL}" if words else _SEVERAL


def _elsewhere(words: Sequence[str], origins: Mapping[str, str]) -> Field:
    """The line for where to; where it comes from is no example."""
    others = [word for word in dict.fromkeys(words) if word not in origins.values()]
    return Field("to", "to", words=others, hint=_such_as(others))


def _holders(model: Model) -> list[str]:
    return [copy.device for copy in model.copies if copy.state == placing.WHOLE]


def _first_whole(model: Model) -> str:
    """Where it is copied from: a disk rather than memory."""
    found = sorted(placing.whole(model), key=lambda copy: not copy.device.endswith(":disk"))
    return found[0].device if found else ""


def _there_are(places: Sequence[str]) -> str:
    return f"there are copies on {wording.few(places, _SHOWN) or 'no node'}"


def _sizes(models: Sequence[Model], origins: Mapping[str, str] | None = None) -> str:
    """How large they are, and of several also where each is taken from."""
    said = []
    for model in models:
        origin = (origins or {}).get(model.name) if len(models) > 1 else None
        size = wording.size(model.size_bytes)
        said.append(f"{model.name}: {size}{' from ' + origin if origin else ''}")
    return _listed(said)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
