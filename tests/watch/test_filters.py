from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gswarm_tui.errors import UsageError
from gswarm_tui.watch import fields, filters
from gswarm_tui.watch.simulated import SimulatedSource
from gswarm_tui.watch.snapshot import Gpu, GpuProcess, GpuState, Host, Node, NodeState

NOW = 1_000_000.0
GIB = 1024**3


def process(user: str, command: str = "python train.py") -> GpuProcess:
    return GpuProcess(7, user, command, GIB, None, None, None)


BUSY = Gpu(
    "n1",
    0,
    GpuState.OK,
    uuid="GPU-aa01f7c2-9b3d-4e10",
    name="NVIDIA H100 80GB HBM3",
    util_percent=97.0,
    memory_used_bytes=60 * GIB,
    memory_total_bytes=80 * GIB,
    temperature_c=71.0,
    power_w=650.0,
    processes=(process("ana"),),
)
HELD = Gpu(
    "n1",
    1,
    GpuState.OK,
    uuid="GPU-bb02e1a9-7c55-4f21",
    name="NVIDIA H100 80GB HBM3",
    util_percent=0.0,
    memory_used_bytes=10 * GIB,
    memory_total_bytes=80 * GIB,
    temperature_c=40.0,
    processes=(process("eve", "jupyter [bold]"), process("kim")),
    models=("llama-8b",),
    idle_since=NOW - 1800,
    throttle=("power cap",),
)
NOTHING_TOLD = Gpu("n2", 0, GpuState.LOST)
N1 = Node(
    "n1",
    "10.0.0.1",
    NodeState.UP,
    0.0,
    groups=("train",),
    labels=(("rack", "r1"), ("zone", "a")),
    sampled_at=NOW,
    host=Host(cpu_percent=30.0, load1=4.0),
    gpus=(BUSY, HELD),
)
N2 = Node("n2", "10.0.0.2", NodeState.UP, 0.0, labels=(("rack", "r2"),), gpus=(NOTHING_TOLD,))
N3 = Node("n3", "10.0.0.3", NodeState.UNREACHABLE, 0.0, error="no route to host")
FLEET = (N1, N2, N3)

NAMES = {
    (node.name, None if gpu is None else gpu.index): word
    for word, (node, gpu) in {
        "busy": (N1, BUSY),
        "held": (N1, HELD),
        "lost": (N2, NOTHING_TOLD),
        "down": (N3, None),
    }.items()
}


def found(text: str) -> set[str]:
    rows = filters.parse(text).rows(FLEET)
    return {NAMES[node.name, None if gpu is None else gpu.index] for node, gpu in rows}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "busy held lost down"),
        ("   ", "busy held lost down"),
        ("util<5", "held"),
        ("util>=97", "busy"),
        ("util>96.5%", "busy"),
        ("util!=0", "busy"),
        ("!util<5", "busy lost down"),
        ("!!util<5", "held"),
        ("mem>50%", "busy"),
        ("mem<=12.5", "held"),
        ("mem>40GB", "busy"),
        ("mem<40GiB", "held"),
        ("temp>=71", "busy"),
        ("temp<50C", "held"),
        ("power>600W", "busy"),
        ("idle>10m", "held"),
        ("idle>1h", ""),
        ("gpu=1", "held"),
        ("cpu>20", "busy held"),
        ("user=ana", "busy"),
        ("user=ana,eve", "busy held"),
        ("USER=ANA", "busy"),
        ("user!=ana", "held lost down"),
        ("user=a*", "busy"),
        ("user=an", ""),
        ("node=n[12]", "busy held lost"),
        ("node=10.0.0.3", "down"),
        ("label=r1", "busy held"),
        ("label=rack", "busy held lost"),
        ("label=rack=r2", "lost"),
        ("label:rack=r*", "busy held lost"),
        ("label:zone=a", "busy held"),
        ("group=train", "busy held"),
        ("model=llama*", "held"),
        ("model=H100", "busy held"),
        ("card=h100", "busy held"),
        ("state=lost", "lost"),
        ("state=unreachable", "down"),
        ("state=held", "held"),
        ("state=busy", "busy"),
        ("state=throttled", ""),
        ("uuid=GPU-b*", "held"),
        ("GPU-bb02e1a9-7c5", "held"),
        ("bb02e1a9-7c5", "held"),
        ("GPU-bb02e1a9-7c", ""),
        ("gpu-b", ""),
        ("command=*train*", "busy held"),
        ("jupyter", "held"),
        ("[bold]", "held"),
        ("h100", "busy held"),
        ("route", "down"),
        ("unreachable", "down"),
        ("r2", "lost"),
        ("!n1", "lost down"),
        ("up", "busy held lost"),
        ("!up", "down"),
        ("hung", ""),
        ("gpu1", "held"),
        ("'GPU lost'", "lost"),
        ("busy", "busy"),
        ("free", ""),
        ("h100 !ana", "held"),
        ("user=ana util>90 mem>70%", "busy"),
        ("user=ana util<90", ""),
        ("'no route'", "down"),
        ("temp > 60", "busy"),
        ("temp >60 user= ana", "busy"),
        ("util> 96.5% mem >50%", "busy"),
        ("!util < 5 up", "busy lost"),
        ("user != ana n1", "held"),
        ("label:rack = r1 h100", "busy held"),
        ("node = n1 '[bold]'", "held"),
        ("n1 !user = ana", "held"),
    ],
)
def test_what_fits(text: str, expected: str) -> None:
    assert found(text) == set(expected.split())


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("utl<5", "there is no field `utl`; did you mean `util`?", "the fields are card, "),
        ("utl < 5", "there is no field `utl`; did you mean `util`?", "the fields are card, "),
        ("qqq= 1", "there is no field `qqq`", "the fields are card, clock, command"),
        ("temp >", "`temp>` needs a value after it", "such as util<5"),
        ("temp > !up", "`temp` is compared with a number, not with `!up`", None),
        ("util<", "`util<` needs a value after it", "such as util<5"),
        ("util<much", "`util` is compared with a number, not with `much`", None),
        ("util<nan", "`util` is compared with a number, not with `nan`", None),
        ("user>ana", "`user` is a text: compare it with = or !=, not with >", None),
        ("mem>5G", "`mem>5G`: `5G` could mean two things", "or a share: mem>50%"),
        ("mem>lots", "`mem>lots`: expected an amount of bytes", "or a share"),
        ("idle>long", "`idle` is compared with a length of time such as 10m", None),
        ("!", "`!` needs a word after it", "!user=ana"),
        ("'open", "a quotation mark is left open in the filter", None),
    ],
)
def test_what_is_wrong_is_a_sentence(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        filters.parse(text)
    assert caught.value.message.startswith(message)
    assert (hint is None) == (caught.value.hint is None)
    assert (hint or "") in (caught.value.hint or "")


@given(st.text())
def test_whatever_is_typed_is_a_filter_or_a_sentence(text: str) -> None:
    with contextlib.suppress(UsageError):
        filters.parse(text).rows(FLEET)


def test_texts_without_fields_have_the_plain_filter() -> None:
    texts = ["Llama-8b", None, "ready"]
    assert filters.plain("llama READY")(texts)
    assert filters.plain("")(texts)
    assert not filters.plain("llama !ready")(texts)
    assert filters.plain("!qwen")(texts)


def test_every_field_is_said_in_the_error() -> None:
    with pytest.raises(UsageError) as caught:
        filters.parse("zzzz=1")
    for field in fields.FIELDS:
        assert field in (caught.value.hint or "")


ROWS = filters.parse("").rows(FLEET)


def names(rows: list[fields.Row]) -> list[str]:
    return [NAMES[node.name, None if gpu is None else gpu.index] for node, gpu in rows]


@pytest.mark.parametrize(
    ("by", "descending", "expected"),
    [
        ("node", False, "busy held lost down"),
        ("node", True, "down lost held busy"),
        ("util", False, "held busy lost down"),
        ("util", True, "busy held lost down"),
        ("mem", True, "busy held lost down"),
        ("user", True, "held busy lost down"),
        ("user", False, "busy held lost down"),
        ("idle", True, "held busy lost down"),
    ],
)
def test_rows_are_sorted_and_those_without_a_value_come_last(
    by: str, descending: bool, expected: str
) -> None:
    assert names(fields.sort(ROWS, by, descending=descending)) == expected.split()


@pytest.mark.parametrize("by", fields.SORTS)
def test_all_that_is_offered_can_be_sorted_by(by: str) -> None:
    nodes = SimulatedSource(10, 2, clock=lambda: NOW).picture(NOW).nodes
    rows = filters.parse("").rows(nodes)
    assert len(fields.sort(rows, by)) == len(rows)


def test_rows_are_grouped() -> None:
    assert [(name, names(rows)) for name, rows in fields.group(ROWS, "label:rack")] == [
        ("r1", ["busy", "held"]),
        ("r2", ["lost"]),
        ("-", ["down"]),
    ]
    assert [name for name, _ in fields.group(ROWS, "node")] == ["n1", "n2", "n3"]
    assert [name for name, _ in fields.group(ROWS, "user")] == ["ana", "eve, kim", "-"]
    assert [name for name, _ in fields.group(ROWS, "model")] == ["llama-8b", "-"]
    assert [name for name, _ in fields.group(ROWS, "state")] == ["lost", "ok", "unreachable"]
    assert fields.labels_of(FLEET) == ["rack", "zone"]


@pytest.mark.parametrize("by", fields.GROUPS)
def test_all_that_is_offered_can_be_grouped_by(by: str) -> None:
    assert sum(len(rows) for _, rows in fields.group(ROWS, by)) == len(ROWS)
