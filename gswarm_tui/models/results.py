"""What the verbs of `gswarm_tui.models.Models` answer with.

A playbook reads these fields as ``${action_id.field}``; `--json` prints them under the same names.
Sizes are bytes, times are seconds, hashes are written ``sha256:<hex>``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class PlacementResult:
    """A model is where it was asked to be.

    Args:
        device: the first target; `devices` has all of them.
        path: the folder of the first target's copy on its node, None where the target is a GPU.
        already: it was all there before, nothing had to be done.
    """

    model: str
    revision: str
    hash: str
    size: int
    device: str
    devices: list[str]
    path: str | None
    already: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class DownloadResult(PlacementResult):
    """What `Models.download` did."""


@dataclass(frozen=True, slots=True)
class CopyResult(PlacementResult):
    """What `Models.copy` did."""


@dataclass(frozen=True, slots=True)
class MoveResult(PlacementResult):
    """What `Models.move` did; `source_kept` is False once the source's copy is gone."""

    source_kept: bool


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """What `Models.delete` did; `freed` counts the bytes of copies that were there."""

    model: str
    devices: list[str]
    freed: int


@dataclass(frozen=True, slots=True)
class ServeResult:
    """A model answers requests.

    Args:
        url: has the node's name for its host, as the target of a playbook's health check has.
        endpoint: a URL that answers from where the user sits, None where `tunnel` is needed first.
        tunnel: the ``ssh -L`` line that makes the service answer on the user's own loopback.
        service: the service's id.
        already: it was being served before, nothing had to be done.
    """

    model: str
    device: str
    devices: list[str]
    engine: str
    node: str
    port: int
    url: str
    endpoint: str | None
    tunnel: str | None
    service: str
    already: bool


@dataclass(frozen=True, slots=True)
class StopResult:
    """What `Models.stop_serve` did; `stopped` counts services."""

    model: str
    devices: list[str]
    stopped: int


@dataclass(frozen=True, slots=True)
class HealthResult:
    """A URL answered with a 2xx status.

    Args:
        checked_from: the node that asked, or ``controller``.
        prompt: what the model was asked; None where only the URL was.
        completion: how it went on.
    """

    url: str
    status: int
    ok: bool
    latency_ms: float
    checked_from: str
    prompt: str | None = None
    completion: str | None = None


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A program ran on a node and ended with status 0, or did not have to.

    Args:
        output: the last 64 KiB of what it wrote, stdout and stderr together.
        skipped: what it creates was there already; it did not run.
    """

    node: str
    status: int
    output: str
    skipped: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class UnregisterResult:
    """A name is gone from the registry.

    Args:
        stopped: services that were stopped, engines included.
        deleted: devices whose copies were deleted.
        left: node to reason, for the nodes that could not be asked: copies may be left there.
    """

    model: str
    stopped: int
    deleted: list[str]
    freed: int
    left: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CopyView:
    """One copy of a model on a node.

    Args:
        state: ``ready``, ``partial``, ``damaged`` (files were found bad) or ``changed`` (by their
            owner, since they were adopted in place).
        done: bytes that are there, of one in the `state` ``partial``.
        verified_at: when all its files were last read, or published.
        damaged: files that were found bad, some of them if there are many.
        waiting: what one that nothing works at needs to go on: ``credentials``.
    """

    device: str
    node: str
    revision: str
    state: str
    size: int
    hash: str | None
    path: str | None
    files: int
    done: int | None
    source: str | None
    published_at: str | None
    last_accessed: str | None
    metadata: dict[str, Any]
    external: bool
    waiting: str | None = None
    verified_at: str | None = None
    damaged: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """One engine with the model's weights loaded; `reason` says why its state is no better."""

    id: str
    node: str
    devices: list[str]
    revision: str
    engine: str
    state: str
    reason: str | None
    pid: int | None
    started_at: str | None
    started_by: str | None
    log: str | None


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One published endpoint of a model; `reason` says why its state is no better."""

    id: str
    model: str
    node: str
    devices: list[str]
    engine: str
    state: str
    reason: str | None
    url: str
    endpoint: str | None
    tunnel: str | None
    address: str
    port: int
    guarded: bool
    requests: int
    pid: int | None
    started_at: str | None


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model: what the registry knows of it, and where it is at this moment.

    Args:
        registered: False for a model that a node has and the registry does not know.
        status: ``serving``, ``downloading``, ``loading``, ``moving``, ``loaded``, ``available``,
            ``damaged``, ``partial``, ``registered`` (no node has it) or ``unknown`` (no node that
            answered has it, and not every one did).
        locations: devices with a copy that is whole, engines' devices included.
        unreachable: node to reason: what these have is unknown.
    """

    name: str
    registered: bool
    type: str | None
    source: str | None
    description: str | None
    tags: list[str]
    requirements: dict[str, Any]
    created_at: str | None
    updated_at: str | None
    status: str
    size: int | None
    hash: str | None
    locations: list[str]
    copies: list[CopyView]
    replicas: list[ReplicaView]
    services: list[ServiceView]
    unreachable: dict[str, str]


@dataclass(frozen=True, slots=True)
class Survey:
    """Every model of the fleet.

    Args:
        operations: what nodes are doing, as they say it, each with its node.
        unreachable: node to reason.
    """

    models: list[ModelView]
    operations: list[dict[str, Any]]
    unreachable: dict[str, str]

    @property
    def services(self) -> list[ServiceView]:
        return [service for model in self.models for service in model.services]


@dataclass(frozen=True, slots=True)
class Verification:
    """One copy, read again and compared with its manifest.

    Args:
        size: bytes of its files.
        bad: path to reason for every file that differs.
        shared_with: other models on that node whose files are the same bytes on disk, each with
            its revision.
    """

    device: str
    revision: str
    ok: bool
    size: int
    bad: dict[str, str]
    shared_with: list[str]

    @property
    def state(self) -> str:
        """What it is, in words."""
        return "as published" if self.ok else "damaged"


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What `Models.verify` found.

    Args:
        damaged: those of `devices` that have a copy with a bad file.
        size: bytes that were read, of all copies.
    """

    model: str
    devices: list[str]
    ok: bool
    damaged: list[str]
    size: int
    copies: list[Verification]
    seconds: float


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model's files on a node that gswarm does not manage, or does again."""

    node: str
    path: str
    name: str
    revision: str | None
    source: str | None
    files: int
    size: int
    adoptable: bool
    reason: str | None
    adopted: str | None


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What `Models.scan` found.

    Args:
        registered: names that went into the registry, from manifests on nodes or by adoption.
        unreachable: node to reason.
    """

    found: list[FoundModel]
    registered: list[str]
    unreachable: dict[str, str]
