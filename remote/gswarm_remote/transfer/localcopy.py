"""Bytes from files of this machine: file:// sources, and staging between disk and dram."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Mapping, Optional

from ..errors import HelperError, Kind
from ..models.files import explained
from ..models.manifest import PlanFile
from ..models.piece import Bytes
from .limits import Doing

READ = 2**20
"""Bytes read at once: it fits a core's cache, where it is then hashed and written from."""


class LocalSource:
    """A `PieceSource` that reads files of this machine; threads read different pieces at once.

    Args:
        paths: where each of the plan's files is.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths

    def fetch(
        self,
        file: PlanFile,
        offset: int,
        length: Optional[int],
        sink: Callable[[Bytes], None],
        doing: Doing,
    ) -> None:
        """Pass the bytes of one piece to `sink`; nothing but the file is waited for.

        Raises:
            HelperError: the file is not there, or shorter than it was.
        """
        read_piece(self._paths[file.path], offset, length, sink)

    def abort(self) -> None:
        """Nothing blocks here but the disk."""


def read_piece(
    path: Path, offset: int, length: Optional[int], sink: Callable[[Bytes], None]
) -> None:
    """Pass `length` bytes at `offset` to `sink`, or all that follow where that is None.

    Raises:
        HelperError: the file cannot be read, or ends too early.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise explained(error, where=path) from error
    try:
        _read(descriptor, path, offset, length, sink)
    finally:
        os.close(descriptor)


def _read(
    descriptor: int,
    path: Path,
    offset: int,
    length: Optional[int],
    sink: Callable[[Bytes], None],
) -> None:
    position = offset
    while length is None or position < offset + length:
        want = READ if length is None else min(READ, offset + length - position)
        try:
            data = os.pread(descriptor, want, position)
        except OSError as error:
            raise explained(error, where=path) from error
        if not data:
            break
        sink(data)
        position += len(data)
    if length is not None and position < offset + length:
        raise HelperError(
            Kind.MISMATCH,
            f"the file ends after {position} bytes, {offset + length} were expected",
            where=str(path),
            hint="it was changed while it was being read; try again when nobody writes to it",
        )
