"""The journal of a transfer: which pieces are here, fsynced and with our checksum.

A text file of JSON lines that only grows. A piece's line is written after its bytes are durable,
and is durable itself before anybody is told. A line without its newline was torn by a crash and
does not count; what is not understood is passed over: the worst that a damaged journal does is to
have bytes fetched again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from .checks import SHA256
from .files import BUFFER


@dataclass(frozen=True)
class PieceRecord:
    """A verified piece: `length` bytes at `offset` of the plan's file number `file`."""

    file: int
    offset: int
    length: int
    sha256: str

    def holds(self, descriptor: int) -> bool:
        """Whether the file still has those bytes; raises `OSError` where it cannot be read."""
        digest = hashlib.sha256()
        position, end = self.offset, self.offset + self.length
        while position < end:
            data = os.pread(descriptor, min(BUFFER, end - position), position)
            if not data:
                return False
            digest.update(data)
            position += len(data)
        return digest.hexdigest() == self.sha256


Records = Dict[int, Dict[int, PieceRecord]]
"""Verified pieces by file, then by offset."""


def read(path: Path) -> Tuple[Records, int]:
    """The pieces that a journal vouches for, and the length in bytes of its whole lines."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}, 0
    whole = data.rfind(b"\n") + 1
    records: Records = {}
    for line in data[:whole].splitlines():
        _apply(line, records)
    return records, whole


def _apply(line: bytes, records: Records) -> None:
    try:
        values = json.loads(line)
    except ValueError:
        return
    if not isinstance(values, dict):
        return
    if "dropped" in values:
        _drop(values.get("dropped"), values.get("offset"), records)
        return
    record = _record(values)
    if record is not None:
        records.setdefault(record.file, {})[record.offset] = record


def _drop(file: Any, offset: Any, records: Records) -> None:
    if type(file) is not int:
        return
    if offset is None:
        records.pop(file, None)
    elif type(offset) is int:
        records.get(file, {}).pop(offset, None)


def _record(values: Dict[str, Any]) -> Optional[PieceRecord]:
    numbers = [values.get(key) for key in ("file", "offset", "length")]
    sha256 = values.get("sha256")
    if any(type(number) is not int or number < 0 for number in numbers):
        return None
    if not isinstance(sha256, str) or SHA256.fullmatch(sha256) is None:
        return None
    return PieceRecord(values["file"], values["offset"], values["length"], sha256)


class Journal:
    """The journal at `path`, open for writing; its owner lets one thread in at a time.

    Raises:
        OSError: it cannot be opened or written; a line that failed leaves no trace.
    """

    def __init__(self, path: Path) -> None:
        self.records, self._length = read(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        os.ftruncate(self._descriptor, self._length)  # what follows a torn line would be torn too

    def append(self, record: PieceRecord) -> None:
        """Vouch for a piece, durably."""
        self._write(
            {
                "file": record.file,
                "offset": record.offset,
                "length": record.length,
                "sha256": record.sha256,
            }
        )
        self.records.setdefault(record.file, {})[record.offset] = record

    def drop(self, file: int, offset: Optional[int] = None) -> None:
        """Vouch no more for one piece of a file, or for all of them."""
        self._write({"dropped": file, "offset": offset})
        _drop(file, offset, self.records)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _write(self, values: Dict[str, Any]) -> None:
        line = json.dumps(values).encode() + b"\n"
        try:
            written = 0
            while written < len(line):
                written += os.pwrite(self._descriptor, line[written:], self._length + written)
            os.fsync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._length)
            raise
        self._length += len(line)
