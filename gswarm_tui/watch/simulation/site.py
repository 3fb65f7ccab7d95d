"""A simulated site: its nodes, who uses their GPUs, and what is wrong."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Final

from gswarm_tui.watch.simulation.loads import (
    A100,
    H100,
    H200,
    L40S,
    MIB,
    RTX4090,
    Fault,
    Load,
    Restarts,
    SimulatedGpu,
    Use,
)
from gswarm_tui.watch.snapshot import Host, Node, NodeState

GB: Final = 10**9
RACK: Final = 8
"""So many nodes are in a rack."""

_LOADS_ALREADY_S: Final = 25.0
"""For so long, when the site is first looked at, an engine has been loading."""

_CARDS: Final = (H100, H100, A100, H200, L40S, H100, A100, RTX4090)
_ROLES: Final = ("train", "train", "serve", "batch", "serve", "mixed", "train", "serve")
_USERS: Final = ("ana", "eve", "kim", "li", "omar", "sara", "tom")


@dataclass(frozen=True, slots=True)
class CataloguedModel:
    """A model that the site uses; ``gpus`` is how many it is served on."""

    name: str
    source: str | None
    type: str
    size_bytes: int
    gpus: int
    engine: str = "vllm"


CATALOGUE: Final = (
    CataloguedModel("llama-3.3-70b", "hf://meta-llama/Llama-3.3-70B-Instruct", "llm", 141 * GB, 4),
    CataloguedModel("qwen3-32b", "hf://Qwen/Qwen3-32B", "llm", 65_527_000_000, 2),
    CataloguedModel("gpt-oss-120b", "hf://openai/gpt-oss-120b", "llm", 65_250_000_000, 2),
    CataloguedModel("llama-3.1-8b", "hf://meta-llama/Llama-3.1-8B-Instruct", "llm", 16 * GB, 1),
    CataloguedModel("gemma-3-27b", "hf://google/gemma-3-27b-it", "llm", 54_800_000_000, 2),
    CataloguedModel("bge-m3", "hf://BAAI/bge-m3", "embedding", 2_290_000_000, 1),
    CataloguedModel("gpt-oss-20b", "hf://openai/gpt-oss-20b", "llm", 13_760_000_000, 1),
    CataloguedModel("qwen2.5-vl-7b", "hf://Qwen/Qwen2.5-VL-7B-Instruct", "vlm", 16_600_000_000, 1),
    CataloguedModel(
        "deepseek-r1-14b",
        "hf://deepseek-ai/DeepSeek-R1-Distill-Qwen-14B",
        "llm",
        29_540_000_000,
        1,
        "sglang",
    ),
    CataloguedModel("mixtral-8x22b", "hf://mistralai/Mixtral-8x22B", "llm", 281 * GB, 8),
    CataloguedModel("phi-4", "hf://microsoft/phi-4", "llm", 29_320_000_000, 1),
    CataloguedModel("whisper-large-v3", "hf://openai/whisper-large-v3", "asr", 3_090_000_000, 1),
    CataloguedModel("support-tuned-8b", "path:///data/kim/support-tuned-8b", "llm", 16 * GB, 1),
    CataloguedModel("old-checkpoint", None, "llm", 7_700_000_000, 1),
)


@dataclass(frozen=True, slots=True)
class Replica:
    """An engine of the site and the service in front of it.

    Args:
        restarts: when it is started anew; None where it goes on.
    """

    model: CataloguedModel
    node: str
    gpus: tuple[int, ...]
    port: int
    phase: int
    since: float
    devices: tuple[str, ...]
    restarts: Restarts | None = None


@dataclass(frozen=True, slots=True)
class SimulatedNode:
    """A node at any time; ``template`` has what does not change.

    Args:
        down_at: since when it does not answer; None while it does.
        silent_at: since when its GPU driver does not answer.
        busy: how many of its GPUs train or serve.
    """

    template: Node
    gpus: tuple[SimulatedGpu, ...]
    phase: int
    disk_used_bytes: int
    down_at: float | None = None
    silent_at: float | None = None
    busy: int = 0

    def answers(self, time: float) -> bool:
        return self.down_at is None or time < self.down_at

    def at(self, time: float) -> Node:
        known = self.template
        if not self.answers(time):
            error = f"{known.address}: no route to host"
            return replace(
                known, state=NodeState.UNREACHABLE, since=self.down_at or 0.0, error=error
            )
        silent_s = 0.0
        if self.silent_at is not None and time >= self.silent_at:
            silent_s = time - self.silent_at
        return Node(
            known.name,
            known.address,
            NodeState.UP,
            known.since,
            known.groups,
            known.labels,
            f"the GPU driver has not answered for {silent_s:.0f} s" if silent_s else None,
            time,
            silent_s,
            self.host(time),
            tuple([gpu.at(time) for gpu in self.gpus]),
            known.system,
            known.driver,
            known.gpu_count,
        )

    def host(self, time: float) -> Host:
        """The load of the machine itself."""
        wave = (int(time) // 3 * 37 + self.phase) % 101 / 101
        busy = self.busy
        cpu = 3 + 6 * busy + 12 * wave
        return Host(
            round(cpu, 1),
            128,
            round(cpu * 1.2, 2),
            round(cpu * 1.1, 2),
            round(cpu, 2),
            int((60 + 70 * busy + 20 * wave) * GB),
            2164 * GB if len(self.gpus) > 4 else 541 * GB,
            0,
            8 * GB,
            15_360 * GB - self.disk_used_bytes,
            15_360 * GB,
            busy * 90e6 * wave,
            busy * 30e6 * (1 - wave),
            busy * 210e6 * wave,
            busy * 160e6 * (1 - wave),
            1082 * GB - (260 * GB if self.phase % 3 == 0 else 0),
            1082 * GB,
        )


@dataclass(slots=True)
class Site:
    """The whole site. Built once; only read afterwards."""

    nodes: list[SimulatedNode] = field(default_factory=list)
    replicas: list[Replica] = field(default_factory=list)
    disk: dict[str, list[CataloguedModel]] = field(default_factory=dict)
    """What each node has on disk, by its name."""
    dram: dict[str, list[CataloguedModel]] = field(default_factory=dict)


def build(nodes: int, gpus: int, seed: int, began: float) -> Site:
    """The site with that seed; `began` is when it is first looked at."""
    site = Site()
    faults = _faults(nodes, gpus, random.Random(f"{seed} faults"), began)  # noqa: S311
    width = len(str(nodes)) if nodes > 99 else 2
    for number in range(nodes):
        rng = random.Random(f"{seed} {number}")  # noqa: S311
        _Builder(site, f"gpu-{number + 1:0{width}}", number, rng, began).add(
            gpus, faults.get(number, {})
        )
    return site


_Faults = dict[int | None, tuple[Fault | None, float]]
"""By GPU; None stands for the whole node, whose fault is that it does not answer."""


def _faults(nodes: int, gpus: int, rng: random.Random, began: float) -> dict[int, _Faults]:
    """What is wrong where, and since when: a few things, on different nodes where there are."""
    if nodes < 2:
        return {}
    order = [n for n in range(nodes) if not _CARDS[n % len(_CARDS)].fan]  # those tell no ECC
    rng.shuffle(order)
    wrong: list[tuple[Fault | None, float]] = [
        (None, 2_460.0),
        (Fault.LOST, 780.0),
        (Fault.THROTTLED, 190.0),
        (Fault.XID, 1_140.0),
        (Fault.SILENT, 96.0),
        (Fault.MISSING, 200_000.0),
        (Fault.ECC, 8_000.0),
    ]
    found: dict[int, _Faults] = {}
    for node, (fault, ago) in zip(order, wrong, strict=False):
        if fault in (None, Fault.SILENT):
            found[node] = {None: (fault, began - ago)}
        elif gpus:
            found[node] = {rng.randrange(gpus): (fault, began - ago)}
    return found


class _Builder:
    """Adds one node to a site."""

    def __init__(
        self, site: Site, name: str, number: int, rng: random.Random, began: float
    ) -> None:
        self._site, self._name, self._number = site, name, number
        self._rng, self._began = rng, began
        self._card = _CARDS[number % len(_CARDS)]

    def add(self, gpus: int, faults: _Faults) -> None:
        node_fault, node_fault_at = faults.get(None, (Fault.MISSING, 0.0))
        down_at = node_fault_at if node_fault is None else None
        silent_at = node_fault_at if node_fault is Fault.SILENT else None
        role = _ROLES[self._number % len(_ROLES)]
        uses = self._uses(role, gpus, serves=down_at is None)
        made = []
        for index, use in enumerate(uses):
            fault, fault_at = faults.get(index, (None, 0.0))
            if silent_at is not None:
                fault, fault_at = Fault.SILENT, silent_at
            made.append(
                SimulatedGpu(
                    *(self._name, index, self._card, use, self._rng),
                    beside=gpus,
                    fault=fault,
                    fault_at=fault_at,
                )
            )
        stored = self._stored(has_some=down_at is None)
        self._site.nodes.append(
            SimulatedNode(
                template=self._template(role, gpus),
                gpus=tuple(made),
                phase=self._rng.randrange(1000),
                disk_used_bytes=2_100 * GB + sum(model.size_bytes for model in stored),
                down_at=down_at,
                silent_at=silent_at,
                busy=sum(use.load in (Load.TRAIN, Load.SERVE) for use in uses),
            )
        )

    def _template(self, role: str, gpus: int) -> Node:
        rack = self._number // RACK + 1
        labels = (("rack", f"r{rack:02}"), ("zone", "ab"[rack % 2]), ("role", role))
        return Node(
            name=self._name,
            address=f"10.0.{rack}.{self._number % RACK + 11}",
            state=NodeState.UP,
            since=self._began - 3600 - self._rng.randrange(10**6),
            groups=("all", self._card.name.split()[1].lower()),
            labels=labels,
            system="Ubuntu 24.04.3 LTS",
            driver="580.95.05",
            gpu_count=gpus,
        )

    def _uses(self, role: str, gpus: int, *, serves: bool) -> list[Use]:
        if role == "train":
            return [self._training(gpus) for _ in range(gpus)]
        if role == "serve" and serves:
            return self._serving(gpus)
        if role == "batch":
            return [self._batch(index) for index in range(gpus)]
        return [self._mixed(index) for index in range(gpus)]

    def _training(self, gpus: int) -> Use:
        """A run has two nodes: both compute and save at the same time, for one user."""
        run = self._number // 2
        return Use(
            Load.TRAIN,
            phase=run * 17,
            memory_share=0.91,
            user=_USERS[run % len(_USERS)],
            command=f"python -m torch.distributed.run --nnodes 2 --nproc-per-node {gpus} train.py"
            f" --config configs/run-{run:02}.yaml",
            unit=f"slurm job {48200 + run}",
            pid=20_000 + run,
            since=self._began - 50_000 - run * 700,
        )

    def _serving(self, gpus: int) -> list[Use]:
        uses: list[Use] = []
        memory = self._card.memory_mib * MIB
        choice = self._number
        while len(uses) < gpus:
            free = gpus - len(uses)
            model = CATALOGUE[choice % 9]
            choice += 3
            if model.gpus > free or model.size_bytes > 0.8 * memory * model.gpus:
                model = CATALOGUE[5]
            places = tuple(range(len(uses), len(uses) + model.gpus))
            replica = Replica(
                model,
                self._name,
                places,
                8000 + len(uses),
                self._rng.randrange(100),
                self._began - 900 - self._rng.randrange(400_000),
                tuple([f"{self._name}:gpu{index}" for index in places]),
                # One of them is being started when the site is looked at, and again later.
                None if self._site.replicas else Restarts(self._began - _LOADS_ALREADY_S),
            )
            self._site.replicas.append(replica)
            uses += [self._served(replica, index) for index in places]
        return uses

    def _served(self, replica: Replica, index: int) -> Use:
        model, rank = replica.model, replica.gpus.index(index)
        serve = (
            "python -m sglang.launch_server --model" if model.engine == "sglang" else "vllm serve"
        )
        command = f"{serve} {model.name} --tensor-parallel-size {model.gpus}"
        # What is left beside the weights is for the KV cache, which an embedding model has not.
        needed = 1.3 * model.size_bytes / (self._card.memory_mib * MIB)
        return Use(
            Load.SERVE,
            phase=replica.phase,
            memory_share=needed if model.type == "embedding" else 0.86,
            user="gswarm",
            command=command if rank == 0 else f"VLLM::Worker_TP{rank}",
            pid=31_000 + index,
            since=replica.since,
            models=(replica.model.name,),
            restarts=replica.restarts,
        )

    def _batch(self, index: int) -> Use:
        return Use(
            Load.BURST,
            phase=self._rng.randrange(240),
            memory_share=0.4,
            user=_USERS[(self._number + index) % len(_USERS)],
            command=f"python -m lm_eval --model hf --tasks mmlu --device cuda:{index}",
            unit=f"docker {self._rng.getrandbits(48):012x}",
            pid=44_000 + index,
            since=self._began - 600,
        )

    def _mixed(self, index: int) -> Use:
        hours = 3 + (self._number + index) % 9
        if index == 1:  # the notebook that somebody left open
            return Use(
                Load.HELD,
                phase=0,
                memory_share=0.75,
                user=_USERS[(self._number // 3) % len(_USERS)],
                command="/opt/conda/bin/python -m ipykernel_launcher -f kernel-0f3a.json",
                unit="jupyter.service",
                pid=9_100 + index,
                since=self._began - hours * 3600,
            )
        if index in (0, 4):
            return self._batch(index)
        return Use(Load.IDLE, phase=0, since=self._began - hours * 3600)

    def _stored(self, *, has_some: bool) -> list[CataloguedModel]:
        """What is on its disk and in its memory: what it serves, and some more."""
        if not has_some:
            return []
        served = [r.model for r in self._site.replicas if r.node == self._name]
        more = self._rng.sample(CATALOGUE, self._rng.randrange(2, 6))
        stored = list(dict.fromkeys([*served, *more]))
        self._site.disk[self._name] = stored
        self._site.dram[self._name] = stored[:2] if self._rng.random() < 0.3 else []
        return stored
