from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gswarm_tui.cli import topview
from gswarm_tui.cli.top import _How, _screenful
from gswarm_tui.watch.filters import parse
from gswarm_tui.watch.simulated import SimulatedSource
from gswarm_tui.watch.snapshot import (
    Attention,
    Concern,
    FleetSnapshot,
    Gpu,
    GpuProcess,
    GpuState,
    Node,
    NodeState,
)
from gswarm_tui.watch.source import Listener

from .conftest import Command

KEPT = ["NODE", "GPU", "UTIL", "MEMORY", "TEMP", "POWER", "USER"]
BUSY = Gpu(
    "node1",
    0,
    GpuState.OK,
    uuid="GPU-1",
    name="NVIDIA H100 80GB HBM3",
    util_percent=97.0,
    memory_used_bytes=60_000_000_000,
    memory_total_bytes=80_000_000_000,
    temperature_c=71.0,
    power_w=650.4,
    processes=(GpuProcess(9, "ana", "python train.py", 1, None, None, None),),
)
SERVING = replace(BUSY, index=1, util_percent=None, models=("llama-8b",), processes=())
LOST = Gpu("node2", 0, GpuState.LOST)
ONE = Node("node1", "10.0.0.1", NodeState.UP, 0.0, sampled_at=1.0, gpus=(BUSY, SERVING))
TWO = Node("node2", "10.0.0.2", NodeState.UP, 0.0, sampled_at=1.0, gpus=(LOST,))
BARE = Node("node3", "10.0.0.3", NodeState.UP, 0.0, sampled_at=1.0)
DOWN = replace(BARE, state=NodeState.UNREACHABLE, error="refused\x1b[2J")
LATE = replace(BARE, state=NodeState.CONNECTING)


class Scripted:
    """Stands where `FleetWatcher` does: it has one picture, and gives it again and again."""

    def __init__(self, picture: FleetSnapshot, *, settled: bool = True) -> None:
        self._picture, self.settled = picture, settled
        self.asked: list[Any] = []

    def __call__(self, nodes: list[Any], database: Path, *, wishes: Any) -> Scripted:
        self.asked = [*nodes, wishes]
        return self

    def picture(self) -> FleetSnapshot:
        return self._picture

    async def run(self, listener: Listener) -> None:
        while True:
            listener(self._picture)
            await asyncio.sleep(0.001)


Show = Callable[..., Scripted]


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Show:
    def set_up(*nodes: Node, settled: bool = True, **more: Any) -> Scripted:
        made = Scripted(FleetSnapshot(5.0, nodes=nodes, **more), settled=settled)
        monkeypatch.setattr("gswarm_tui.watch.watcher.FleetWatcher", made)
        return made

    return set_up


def test_every_gpu_is_a_line(gswarm: Command, show: Show) -> None:
    attention = Attention(Concern.LOST, "node2", 0, "no contact", None)
    show(ONE, TWO, BARE, attention=(attention,))
    ended = gswarm("top")
    assert ended.code == 0
    head, busy, serving, lost, bare, totals, look = ended.out.splitlines()
    assert head.split()[:3] == ["NODE", "GPU", "CARD"]
    assert busy.split("  ")[0] == "node1"
    assert "H100 80GB HBM3  97 %  60.0 GB of 80.0 GB  71 °C  650 W" in busy
    assert busy.endswith("ana   python train.py")
    assert serving.endswith("llama-8b")
    assert lost.split() == ["node2", "0", *"------", "lost"]
    assert bare.endswith("no GPU")
    assert totals == "2 GPUs, 97 % busy, 120 GB of 160 GB memory, 1.3 kW"
    assert look == "needs a look: node2 gpu0: GPU lost: no contact"


def test_who_did_not_answer_is_told_and_the_exit_code_says_so(gswarm: Command, show: Show) -> None:
    show(ONE, LATE, DOWN, settled=False)
    ended = gswarm("top", "--wait", "0.1")
    assert ended.code == 3
    assert ended.err.splitlines() == [
        "node3 has not answered within 0.1 s",
        "node3 does not answer: refused�[2J",
        "  hint: a node that is new takes longer: --wait SECONDS",
    ]
    assert len(ended.out.splitlines()) == 6
    assert "\x1b" not in ended.out + ended.err


def test_a_filter_chooses_and_a_wrong_one_is_an_error(gswarm: Command, show: Show) -> None:
    looks = (
        Attention(Concern.LOST, "node2", 0, "no contact", None),
        Attention(Concern.UNREACHABLE, "node3", None, "refused", None),
    )
    show(ONE, TWO, BARE, attention=looks)
    ended = gswarm("top", "state=lost", "node=node2")
    assert [line.split()[0] for line in ended.out.splitlines()] == ["NODE", "node2", "0", "needs"]
    wrong = gswarm("top", "utl<5")
    assert wrong.code == 2
    assert "there is no field `utl`; did you mean `util`?" in wrong.err


def test_sorted_by_what_is_asked_the_highest_first(gswarm: Command, show: Show) -> None:
    show(ONE, TWO, BARE)
    ended = gswarm("top", "--sort", "util")
    assert [line.split()[:2] for line in ended.out.splitlines()[1:3]] == [
        ["node1", "0"],
        ["node1", "1"],
    ]
    wrong = gswarm("top", "--sort", "size")
    assert (wrong.code, "nothing can be sorted by `size`" in wrong.err) == (2, True)


def test_sentences_for_those_who_listen(gswarm: Command, show: Show) -> None:
    show(ONE, TWO, DOWN)
    ended = gswarm("top", "--plain")
    assert ended.out.splitlines() == [
        "node1, GPU 0, H100 80GB HBM3: 97 % busy, 75 % of its memory used (60.0 GB of 80.0 GB),"
        " 71 degrees, 650 watts, used by ana for python train.py.",
        "node1, GPU 1, H100 80GB HBM3: 75 % of its memory used (60.0 GB of 80.0 GB),"
        " 71 degrees, 650 watts.",
        "node2, GPU 0: lost.",
        "node3: does not answer: refused�[2J.",
        "2 GPUs, 97 % busy, 120 GB of 160 GB memory, 1.3 kW.",
    ]
    assert ended.code == 3


def test_json_is_one_object_with_every_field(gswarm: Command, show: Show) -> None:
    show(ONE, TWO, DOWN)
    ended = gswarm("top", "--json", "!state=lost")
    assert [node["name"] for node in ended.document["nodes"]] == ["node1", "node3"]
    gpu = ended.document["nodes"][0]["gpus"][0]
    assert (gpu["util_percent"], gpu["fan_percent"]) == (97.0, None)
    assert gpu["processes"][0]["user"] == "ana"
    assert ended.document["unreachable"] == {"node3": "refused\x1b[2J"}
    assert ended.code == 3


def test_json_has_labels_by_name_and_what_needs_a_look_of_what_is_shown(
    gswarm: Command, show: Show
) -> None:
    looks = (
        Attention(Concern.LOST, "node2", 0, "no contact", None),
        Attention(Concern.HUNG, "node1", None, "for 6 s", None),
        Attention(Concern.THROTTLED, "node1", 1, "heat", None),
    )
    show(replace(ONE, labels=(("rack", "r1"), ("new", ""))), TWO, attention=looks)
    ended = gswarm("top", "--json", "gpu=0", "card=h100")
    assert ended.document["nodes"][0]["labels"] == {"rack": "r1", "new": ""}
    assert [(each["node"], each["gpu"]) for each in ended.document["attention"]] == [
        ("node1", None)
    ]
    assert len(gswarm("top", "--json").document["attention"]) == 3


def test_neither_a_pipe_nor_a_sentence_cuts_a_command(gswarm: Command, show: Show) -> None:
    command = "/opt/conda/bin/python -m vllm.entrypoints.openai.api_server --model " + "llama" * 20
    long = replace(BUSY, processes=(replace(BUSY.processes[0], command=command),))
    show(replace(ONE, gpus=(long,)))
    assert gswarm("top").out.splitlines()[1].endswith(f"  ana   {command}")
    assert gswarm("top", "--plain").out.splitlines()[0].endswith(f" used by ana for {command}.")


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_on_a_terminal_each_row_is_one_line(
    gswarm: Command, show: Show, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    show(ONE, TWO, DOWN)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", gswarm("top").out).splitlines()
    head, rule, busy, serving, lost, down, totals = lines
    assert head.split()[:2] + head.split()[3:8] == KEPT
    assert rule.strip("─") == ""
    assert re.search("97 %  60.0 GB of 80.0 GB  71 °C  650 W  ana   (python )?train.py$", busy)
    assert serving.endswith("llama-8b")
    assert lost.split() == ["node2", "0", "-", "lost"]
    assert down == "node3  does not answer: refused�[2J"
    assert totals.startswith("2 GPUs")


def test_on_a_terminal_who_is_down_has_its_row_and_sentences_break_between_words(
    gswarm: Command, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    look = Attention(Concern.UNREACHABLE, "node3", None, "Connection refused", None)
    show(DOWN, attention=(look,))
    ended = gswarm("top", "--plain")
    assert ended.out.splitlines()[-2:] == [
        "needs a look: node3: unreachable:",
        "  Connection refused",
    ]
    assert (ended.code, ended.err) == (3, "")
    show(DOWN)
    assert "node3 does not answer" in gswarm("top", "util<5").err


def test_a_screen_holds_a_third_of_what_needs_a_look_and_says_what_it_does_not() -> None:
    rows = [(ONE, replace(BUSY, index=i)) for i in range(30)]
    looks = [Attention(Concern.XID, "node1", i, "13 " * 60, None) for i in range(9)]
    how = _How(parse(""), "node", json=False, plain=False, wait_s=1.0)
    lines = [text.plain for text in _screenful(rows, looks, 80, 24, how)]
    assert len(lines) == 24
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("30 GPUs, 97 % busy")
    assert lines[15:17] == [
        "18 more: a filter, or gswarm-tui",
        f"node1 gpu0: XID error: {'13 ' * 18}13…",
    ]
    assert lines[-1] == "2 more need a look"
    few = [text.plain for text in _screenful(rows[:3], looks[:2], 80, 24, how)]
    assert len(few) == 8
    assert "more" not in "".join(few)


def test_watts_are_those_of_the_screens() -> None:
    for power_w, said in ((999.7, "1.0 kW"), (999.4, "999 W")):
        assert topview.totals([(ONE, replace(BUSY, power_w=power_w))]).endswith(f", {said}")


def test_only_the_nodes_that_are_asked_for(gswarm: Command, show: Show) -> None:
    scripted = show(ONE)
    gswarm("top", "--node", "node[1-2]", "--interval", "0.5")
    *nodes, wishes = scripted.asked
    assert len(nodes) == 2
    assert wishes.interval_s == 0.5
    assert gswarm("top", "--node", "nobody").code == 2


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("node=node2", ["node2"]),
        ("node=10.0.0.[23] util<5", ["node2", "node3"]),
        ("label:rack=b node!=node3", ["node2"]),
        ("!label=a", ["node2", "node3"]),
        ("!node2", ["node1", "node3"]),
        ("node2", ["node1", "node2", "node3"]),  # it may be in a command
        ("util<5 load>1 !state=up user=ana card=h100", ["node1", "node2", "node3"]),
    ],
)
def test_no_node_is_waited_for_that_the_filter_leaves_out(
    gswarm: Command, show: Show, words: str, asked: list[str]
) -> None:
    scripted = show(ONE)
    assert gswarm("top", words).code == 0
    *nodes, _ = scripted.asked
    assert [node.name for node in nodes] == asked


@pytest.mark.parametrize("options", [(), ("--watch",), ("--json", "--node", "node1")])
def test_a_filter_that_no_node_can_fit_ends_at_once(
    gswarm: Command, show: Show, options: tuple[str, ...]
) -> None:
    scripted = show(ONE)
    ended = gswarm("top", "node=nobody", "util<5", *options)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: no node of the inventory fits `node=nobody util<5`\n")
    assert scripted.asked == []


def test_bandwidth_is_shown_where_it_is_asked_for(gswarm: Command, show: Show) -> None:
    rates = {"pcie_rx_bytes_per_s": 1.5e9, "pcie_tx_bytes_per_s": 2e6}
    scripted = show(replace(ONE, gpus=(replace(BUSY, **rates), SERVING)), BARE)
    ended = gswarm("top", "--bandwidth", "--nvlink")
    head, busy, serving, bare, _ = ended.out.splitlines()
    assert head.endswith("POWER   PCIE IN  PCIE OUT  NVLINK IN  NVLINK OUT  USER  USES IT")
    assert "650 W  1.5 GB/s  2.0 MB/s          -           -  ana   python train.py" in busy
    assert serving.split()[-7:] == ["W", *["-"] * 5, "llama-8b"]
    assert bare.split()[-7:] == [*["-"] * 5, "no", "GPU"]
    assert (scripted.asked[-1].bandwidth, scripted.asked[-1].nvlink) == (True, True)
    assert "1.5 GB/s pcie in, 2.0 MB/s pcie out." in gswarm("top", "--plain", "--bandwidth").out


def test_whatever_a_node_sends_does_not_steer_the_terminal() -> None:
    picture = SimulatedSource(32, 8, hostile=True, clock=lambda: 1e9).picture(1e9)
    for node in picture.nodes:
        for gpu in node.gpus or (None,):
            said = topview.sentence((node, gpu))
            assert "\x1b" not in said
            assert "\n" not in said


INVENTORY = """
nodes:
  n1: {{connection: local, root: {root}/n1, simulate: {{gpus: 2, seed: 4}}}}
"""


@pytest.fixture
def real(tmp_path: Path) -> dict[str, str]:
    """The environment of a process whose only node is this machine, with simulated GPUs."""
    (tmp_path / "inventory.yaml").write_text(INVENTORY.format(root=tmp_path))
    return {
        **os.environ,
        "GSWARM_HOME": str(tmp_path / "home"),
        "GSWARM_INVENTORY": str(tmp_path / "inventory.yaml"),
        "GSWARM_IDLE_EXIT": "1",
    }


def test_a_real_helper_one_object_a_line_until_it_is_ended(real: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "gswarm_tui.cli", "top", "--watch", "--json", "--interval", "0.2"]
    with subprocess.Popen(argv, env=real, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pictures = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(20) == 0
    assert [len(each["nodes"][0]["gpus"]) for each in pictures] == [2, 2, 2]
    assert pictures[0]["time"] < pictures[1]["time"] < pictures[2]["time"]
    assert pictures[0]["nodes"][0]["gpus"][0]["name"] == "NVIDIA H100 80GB HBM3"


@pytest.mark.parametrize("width", [80, 160])
def test_in_a_terminal_it_is_redrawn_in_place(real: dict[str, str], width: int) -> None:
    argv = [sys.executable, "-m", "gswarm_tui.cli", "top", "--watch", "--interval", "0.2"]
    leader, follower = pty.openpty()
    terminal = {**real, "TERM": "xterm-256color", "COLUMNS": str(width), "LINES": "20"}
    figures = re.compile(r"n1 +0  .* \d+ %  +[\d.]+ [GM]B of 85.5 GB  \d+ °C  +\d+ W  \S")

    def lines() -> list[str]:
        text = seen.decode(errors="replace")  # the last picture may end anywhere
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).splitlines()

    with subprocess.Popen(argv, env=terminal, stdout=follower, stdin=follower) as process:
        os.close(follower)
        seen, deadline = b"", time.monotonic() + 60
        while seen.count(b"2 GPUs") < 2 or not any(map(figures.match, lines())):
            assert time.monotonic() < deadline, seen
            seen += os.read(leader, 65536)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    os.close(leader)
    assert b"\x1b[?1049h" in seen  # the alternate screen: what was there comes back
    assert any(set(KEPT) <= set(line.split()) for line in lines())
