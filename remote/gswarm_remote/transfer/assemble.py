"""From a plan to a published model: fetch what is missing, verify each file, publish.

The transport is behind a seam, `PieceSource`; everything that makes a transfer safe is here and in
`models.partial`, once for all of them.

Files are verified while others are still being fetched: a thread reads a file as soon as its last
piece is here. A file that is not what the source promised is forgotten as far as it is wrong:
where pieces of an earlier run have rotted on the disk, or a file that was taken from another model
was bad, those bytes are fetched again in the same run; where the source's own bytes are wrong,
that is the end of the run, and the next one fetches that file again and nothing else.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from typing import Callable, Dict, List, Optional, Protocol, Set

from ..errors import HelperError, Kind
from ..models import space
from ..models.files import Digest, digest_file, stopped
from ..models.manifest import FileEntry, Manifest, PlanFile
from ..models.partial import Partial
from ..models.piece import Bytes, Piece, PieceWriter
from .crew import Crew
from .limits import DISK, SOURCE, Doing
from .localcopy import read_piece
from .progress import Meter, Report, Reporter

log = logging.getLogger("gswarm.transfer")

WORKERS = 8
"""Pieces that are fetched at once, where the caller does not say."""

_MAX_CHECKERS = 8

Sink = Callable[[Bytes], None]


class PieceSource(Protocol):
    """Where the bytes come from; several threads fetch different pieces at once."""

    def fetch(
        self, file: PlanFile, offset: int, length: Optional[int], sink: Sink, doing: Doing
    ) -> None:
        """Pass the bytes of one piece to `sink`, in order; block until all are passed.

        Args:
            length: bytes, or None for all that follow `offset`.
            sink: takes the next bytes. What it raises is to be let through: the run is over.
            doing: says that the source is waited for; to be told of waiting for anything else.

        Raises:
            HelperError: they cannot be had.
        """

    def abort(self) -> None:
        """Called once from another thread when the run ends early: let blocked fetches return."""


def assemble(
    partial: Partial,
    source: PieceSource,
    *,
    workers: int = WORKERS,
    report: Report,
    cancelled: threading.Event,
    phase: str = "download",
) -> Manifest:
    """Fetch what is missing of `partial`, verify every file, and publish.

    Blocks. `partial` stays open unless it is published; its verified pieces are kept in every case.

    Args:
        workers: pieces to fetch at once.
        report: takes what `Meter.report` gives, at most ten times a second, on this thread.
        cancelled: when set, this ends soon.
        phase: the word for fetching in the reports.

    Raises:
        HelperError: what the source raised; `Kind.MISMATCH` names the file, what was promised and
            what came; `Kind.NO_SPACE`; `Kind.EXISTS`; `Kind.CANCELLED`.
    """
    published = partial.store.published(partial.plan)
    if published is not None:
        partial.discard()
        return published
    assembly = _Assembly(partial, source, workers, report, cancelled, phase)
    try:
        return partial.store.publish(partial, assembly.run())
    except OSError as error:
        raise space.explained(error, partial) from error


def finish(partial: Partial, *, report: Report, cancelled: threading.Event) -> Manifest:
    """Verify and publish a partial whose pieces have all arrived by another way.

    Raises:
        HelperError: pieces are missing, or one was found to be bad (incomplete); as `assemble`.
    """
    return assemble(partial, _Nothing(), workers=1, report=report, cancelled=cancelled)


def disagreement(file: PlanFile, digest: Digest) -> Optional[str]:
    """What differs between the promise and the file, in words; None where they agree."""
    if file.size is not None and file.size != digest.size:
        return f"it has {digest.size} bytes, {file.size} were promised"
    if file.sha256 is not None:
        if file.sha256 != digest.sha256:
            return f"its sha256 is {digest.sha256}, {file.sha256} was promised"
    elif file.git_sha1 is not None and file.git_sha1 != digest.git_sha1:
        return f"its git blob id is {digest.git_sha1}, {file.git_sha1} was promised"
    return None


class _Assembly:
    """One run of `assemble`."""

    def __init__(
        self,
        partial: Partial,
        source: PieceSource,
        workers: int,
        report: Report,
        cancelled: threading.Event,
        phase: str,
    ) -> None:
        self._partial = partial
        self._source = source
        self._cancelled = cancelled
        self._entries: Dict[int, FileEntry] = {}
        self._retried: Set[int] = set()
        self._fetched = Meter(phase, done=partial.done, total=partial.total)
        self._verified = Meter("verify", total=partial.total)
        self._reporter = Reporter(report)
        self._missing = partial.missing()
        self._fetching = len(self._missing)
        self._guard = threading.Lock()
        self._crew = Crew(
            {
                "fetch": max(1, min(workers, len(self._missing))),
                "check": max(1, min(os.cpu_count() or 1, _MAX_CHECKERS, len(partial.plan.files))),
            },
            cancelled=cancelled,
            tick=self._tick,
            on_stop=source.abort,
        )

    def run(self) -> List[FileEntry]:
        """Fetch and verify; returns the files as they are, in the order of the plan."""
        for index in range(len(self._partial.plan.files)):
            if self._partial.is_complete(index):
                self._crew.add("check", functools.partial(self._check, index))
        for piece in self._missing:
            self._crew.add("fetch", functools.partial(self._fetch, piece))
        self._crew.run()
        return [self._entries[index] for index in range(len(self._partial.plan.files))]

    def _tick(self) -> None:
        self._reporter.tell(self._fetched if self._fetching else self._verified)

    # Fetching

    def _fetch(self, piece: Piece) -> None:
        with self._fetched.limits.worker() as doing:
            complete = self._bring(piece, doing)
        with self._guard:
            self._fetching -= 1
        if complete:
            self._crew.add("check", functools.partial(self._check, piece[0]))

    def _bring(self, piece: Piece, doing: Doing) -> bool:
        """Get a piece and keep it; returns whether its file is now complete."""
        index, offset, length = piece
        with self._partial.piece_writer(index, offset, doing) as writer:

            def sink(data: Bytes) -> None:
                if self._crew.stopped_event.is_set() or self._cancelled.is_set():
                    raise stopped()
                writer.write(data)
                self._fetched.add(len(data))

            try:
                doing.turn_to(DISK)
                if not self._read_twin(writer, index, sink):
                    file = self._partial.plan.files[index]
                    doing.turn_to(SOURCE)
                    self._source.fetch(file, offset, length, sink, doing)
                return writer.commit()
            except BaseException:
                self._fetched.add(-writer.received)
                raise

    def _read_twin(self, writer: PieceWriter, index: int, sink: Sink) -> bool:
        """Read the piece from an equal file on this node; False where there is none to be had."""
        twin = self._partial.twins.get(index)
        if twin is None:
            return False
        try:
            read_piece(twin, writer.offset, writer.length, sink)
        except HelperError as error:
            if writer.received or error.kind == Kind.CANCELLED:
                raise
            log.info("%s: %s; fetching it from the source", twin, error)
            return False
        return True

    # Verifying

    def _check(self, index: int) -> None:
        file = self._partial.plan.files[index]
        with self._verified.limits.worker() as doing:
            doing.turn_to(DISK)
            digest = digest_file(
                self._partial.path(index),
                git=file.sha256 is None and file.git_sha1 is not None,
                cancelled=self._crew.stopped_event,
                advanced=self._verified.add,
                doing=doing,
            )
        fault = disagreement(file, digest)
        unproven = file.sha256 is None and file.git_sha1 is None
        rotten = self._partial.rotten(index) if fault or unproven else []
        if fault is None and not rotten:
            self._entries[index] = FileEntry(file.path, digest.size, digest.sha256)
        elif index not in self._retried and (rotten or self._partial.is_borrowed(index)):
            self._verified.add(-digest.size)
            self._fetch_again(index, rotten)
        else:
            self._partial.drop(index)
            raise _mismatch(self._partial, file, fault)

    def _fetch_again(self, index: int, rotten: List[int]) -> None:
        """Get what was bad on our own side once more, from the source."""
        self._retried.add(index)
        file = self._partial.plan.files[index]
        before = self._partial.done
        if self._partial.is_borrowed(index):
            log.warning("%s: a published file with this sha256 is bad; fetching it", file.path)
            self._partial.drop(index)
        else:
            log.warning("%s: %d pieces have rotted; fetching them again", file.path, len(rotten))
            for offset in rotten:
                self._partial.drop(index, offset)
        self._fetched.add(self._partial.done - before)
        missing = self._partial.missing_of(index)
        with self._guard:
            self._fetching += len(missing)
        for piece in missing:
            self._crew.add("fetch", functools.partial(self._fetch, piece))


class _Nothing:
    """The source of a transfer whose bytes were to be here already."""

    def fetch(
        self, file: PlanFile, offset: int, length: Optional[int], sink: Sink, doing: Doing
    ) -> None:
        raise HelperError(
            Kind.INCOMPLETE,
            f"bytes are missing from {offset} on",
            where=file.path,
            hint="send the model again: only what is missing travels",
        )

    def abort(self) -> None:
        pass


def _mismatch(partial: Partial, file: PlanFile, fault: Optional[str]) -> HelperError:
    return HelperError(
        Kind.MISMATCH,
        f"{file.path} of {partial.plan.name} is not what was promised: {fault or 'pieces differ'}",
        where=partial.plan.source,
        hint="ask again: this file is fetched anew, the others are kept",
    )
