"""From one tier of a node to the other: disk to dram and back."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Mapping, Optional

from ..errors import HelperError, Kind
from ..transfer.assemble import assemble
from ..transfer.localcopy import LocalSource
from ..transfer.progress import Report
from .manifest import Manifest, Plan
from .store import Store
from .verify import verify

_WORKERS = 4
"""Pieces that are copied at once: enough to keep an NVMe disk and four cores busy."""


def stage(
    source: Store,
    target: Store,
    name: str,
    revision: Optional[str],
    *,
    remove_source: bool,
    report: Report,
    cancelled: threading.Event,
) -> Manifest:
    """Copy a model into `target` and verify it there; then, if asked, remove it from `source`.

    A model that is in `target` already is not copied again, but it is verified before its source is
    removed: a move never loses a model. Of a source that was adopted in place only the record goes.

    Raises:
        HelperError: it is not here; no room; what was read is not what was published (mismatch).
    """
    try:
        manifest, folder = source.open(name, revision)
    except HelperError as error:
        if error.kind != Kind.NOT_FOUND or not remove_source:
            raise
        return _moved_before(target, name, revision, error)
    plan = Plan.from_manifest(manifest)
    staged = target.published(plan)
    if staged is None:
        paths = {entry.path: folder / entry.path for entry in manifest.files}
        staged = copy_files(target, plan, paths, report=report, cancelled=cancelled)
    elif remove_source:
        _insist(target, staged, report, cancelled)
    if remove_source:
        source.delete(name, manifest.revision)
    return staged


def copy_files(
    store: Store,
    plan: Plan,
    paths: Mapping[str, Path],
    *,
    report: Report,
    cancelled: threading.Event,
) -> Manifest:
    """Bring a plan's files, which are at `paths`, into `store`; see `assemble`."""
    with store.open_partial(plan, cancelled=cancelled) as partial:
        return assemble(
            partial,
            LocalSource(paths),
            workers=_WORKERS,
            report=report,
            cancelled=cancelled,
            phase="copy",
        )


def _moved_before(
    target: Store, name: str, revision: Optional[str], not_found: HelperError
) -> Manifest:
    """The move was made already: it is asked for again, and is done."""
    try:
        return target.manifest(name, revision)
    except HelperError:
        raise not_found from None


def _insist(target: Store, staged: Manifest, report: Report, cancelled: threading.Event) -> None:
    """Make sure that the copy which is to be the only one is good."""
    result = verify(target, staged.name, staged.revision, report=report, cancelled=cancelled)
    if not result["ok"]:
        fault = result["bad"][0]
        raise HelperError(
            Kind.MISMATCH,
            f"the copy that is there is bad, so the source is kept: {fault['path']}:"
            f" {fault['reason']}",
            where=str(target.root),
            hint="move it again: what is bad there is replaced then",
        )
