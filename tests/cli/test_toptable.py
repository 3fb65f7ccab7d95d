from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from gswarm_tui.cli.toptable import laid_out, shortened
from gswarm_tui.cli.topview import cells
from gswarm_tui.watch.fields import Row
from gswarm_tui.watch.simulated import SimulatedSource
from gswarm_tui.watch.snapshot import Gpu, GpuProcess, GpuState, Node, NodeState

COMMAND = "/opt/conda/bin/python -m lm_eval --model hf --tasks mmlu,gsm8k --batch_size 64"
GPU = Gpu(
    "node01",
    0,
    GpuState.OK,
    name="NVIDIA A100-SXM4-80GB",
    util_percent=100.0,
    memory_used_bytes=60_000_000_000,
    memory_total_bytes=85_900_000_000,
    temperature_c=71.0,
    power_w=398.4,
    processes=(GpuProcess(9, "barbara", COMMAND, 1, None, None, None),),
)
UP = Node("node01", "10.0.0.1", NodeState.UP, 0.0, sampled_at=1.0)
DOWN = replace(UP, name="node02", state=NodeState.UNREACHABLE, error="no route to 10.0.0.2 " * 9)
LOST = replace(GPU, index=1, state=GpuState.LOST)
IDLE = replace(GPU, index=2, name="NVIDIA GeForce RTX 4090", util_percent=1.0, processes=None)
ROWS: list[Row] = [(UP, GPU), (UP, LOST), *[(UP, replace(IDLE, index=i)) for i in range(2, 10)]]
ROWS += [(DOWN, None)]

KEPT = ["NODE", "GPU", "UTIL", "MEMORY", "TEMP", "POWER", "USER"]
FIGURES = ["node01", "0", "100 %", "60.0 GB of 85.9 GB", "71 °C", "398 W", "barbara"]


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_on_a_terminal_each_row_is_a_line_with_all_its_numbers(width: int) -> None:
    table = laid_out(ROWS, width=width)
    assert [word for word in table.head.split() if word in KEPT] == KEPT
    assert len(table.lines) == 11
    assert max(cell_len(line) for line in (table.head, table.rule, *table.lines)) <= width
    first = f"  {table.lines[0]} "
    assert all(f" {figure} " in first for figure in FIGURES)
    lost, *_, down = table.lines[1:]
    assert lost.endswith("lost")
    assert down.startswith("node02  does not answer: no route to 10.0.0.2 no route")


@pytest.mark.parametrize(
    ("width", "card", "uses"),
    [
        (180, "A100-SXM4-80GB", COMMAND),
        (120, "A100-SXM4-80GB", "lm_eval --model hf --tasks mmlu,gsm8k…"),
        (100, "A100-SXM4-80GB", "lm_eval --model hf…"),
        (82, "A100", "lm_eval…"),
        (80, "A100-SXM4-80GB", None),
        (70, None, None),
    ],
)
def test_what_uses_it_gives_way_before_the_card(
    width: int, card: str | None, uses: str | None
) -> None:
    table = laid_out(ROWS, width=width)
    assert ("USES IT" in table.head, "CARD" in table.head) == (uses is not None, card is not None)
    assert f"  {card}  " in table.lines[0] or card is None
    assert table.lines[0].endswith(f"  {uses or 'barbara'}")


def test_numbers_are_right_aligned() -> None:
    for width in (None, 160):
        table = laid_out(ROWS, width=width)
        for head, busy, idle in (("UTIL", "100 %", "1 %"), ("TEMP", "71 °C", "71 °C")):
            end = table.head.index(head) + len(head)
            assert table.lines[0][:end].endswith(busy)
            assert table.lines[2][:end].endswith(idle)


def test_to_a_pipe_nothing_is_cut_and_every_column_is_in_every_row() -> None:
    table = laid_out(ROWS, nvlink=True)
    assert table.head.endswith("POWER  NVLINK IN  NVLINK OUT  USER     USES IT")
    assert table.lines[0].endswith(f"barbara  {COMMAND}")
    assert table.lines[1].split() == ["node01", "1", "A100-SXM4-80GB", *["-"] * 7, "lost"]
    assert table.lines[-1].split()[:12] == ["node02", *["-"] * 9, "does", "not"]
    assert table.lines[-1].count("no route to 10.0.0.2") == 9


@pytest.mark.parametrize("width", [1, 20, 40, 64, 80, 100])
def test_whatever_a_node_sends_fits(width: int) -> None:
    picture = SimulatedSource(16, 8, hostile=True, clock=lambda: 1e9).picture(1e9)
    rows: list[Row] = [(node, gpu) for node in picture.nodes for gpu in node.gpus or (None,)]
    table = laid_out(rows, pcie=True, nvlink=True, width=width)
    assert all(cell_len(line) <= width and line.isprintable() for line in table.lines)
    assert cell_len(table.rule) <= width


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA A100 80GB PCIe", "A100"),
        ("NVIDIA A100-PCIE-40GB", "A100"),
        ("Tesla V100-SXM2-32GB", "V100"),
        ("Tesla T4", "T4"),
        ("NVIDIA GH200 480GB", "GH200"),
        ("NVIDIA H100 NVL", "H100"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000 Blackwell"),
    ],
)
def test_a_card_in_brief_is_its_model(name: str, model: str) -> None:
    assert cells((UP, replace(GPU, name=name)), brief=True)["card"] == model


@pytest.mark.parametrize(
    ("command", "brief"),
    [
        (COMMAND, "lm_eval --model hf --tasks mmlu,gsm8k --batch_size 64"),
        ("python3.11 -u /home/ana/train.py --lr 1", "train.py --lr 1"),
        ("/usr/bin/python", "python"),
        ("python -c 'import x'", "python -c 'import x'"),
        ("VLLM::EngineCore", "VLLM::EngineCore"),
        ("ipython notebook/", "ipython notebook/"),
        ("/", "/"),
    ],
)
def test_a_command_in_brief_begins_with_what_is_run(command: str, brief: str) -> None:
    process = GpuProcess(9, "ana", command, 1, None, None, None)
    assert cells((UP, replace(GPU, processes=(process,))), brief=True)["uses it"] == brief


@pytest.mark.parametrize(
    ("text", "room", "left"),
    [
        ("one two", 7, "one two"),
        ("one two", 6, "one t…"),
        ("one two three", 9, "one two…"),
        ("ana, bo, cleo", 9, "ana, bo…"),
        ("漢字漢字", 5, "漢字…"),
        ("one", 1, "…"),
        ("one", 0, ""),
    ],
)
def test_a_text_is_cut_after_a_word(text: str, room: int, left: str) -> None:
    assert shortened(text, room) == left
