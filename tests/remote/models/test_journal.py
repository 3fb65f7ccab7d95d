from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from gswarm_remote.models.journal import Journal, PieceRecord, read
from hypothesis import given, settings
from hypothesis import strategies as st

RECORDS = [PieceRecord(0, 0, 1000, "a" * 64), PieceRecord(1, 1000, 7, "b" * 64)]


def journal_of(path: Path, records: list[PieceRecord]) -> bytes:
    journal = Journal(path)
    for record in records:
        journal.append(record)
    journal.close()
    return path.read_bytes()


def held(path: Path) -> list[PieceRecord]:
    return [record for file in read(path)[0].values() for record in file.values()]


def test_torn_at_every_byte_it_keeps_whole_lines_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    whole = journal_of(path, RECORDS)
    first = whole.index(b"\n") + 1
    another = PieceRecord(2, 0, 5, "c" * 64)
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        expected = RECORDS[: (length >= first) + (length >= len(whole))]
        assert held(path) == expected
        journal_of(path, [another])
        assert held(path) == [*expected, another]


def test_dropping_a_piece_or_a_file_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    for record in [*RECORDS, PieceRecord(1, 0, 1000, "d" * 64)]:
        journal.append(record)
    journal.drop(1, 1000)
    assert held(path) == [RECORDS[0], PieceRecord(1, 0, 1000, "d" * 64)]
    journal.drop(0)
    assert held(path) == [PieceRecord(1, 0, 1000, "d" * 64)]
    journal.close()


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_garbage_is_passed_over(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    path.write_bytes(noise + b"\n")
    journal_of(path, RECORDS)
    assert held(path)[-2:] == RECORDS


@pytest.mark.parametrize(
    "line",
    [
        '{"file": -1, "offset": 0, "length": 1, "sha256": "%s"}',
        '{"file": true, "offset": 0, "length": 1, "sha256": "%s"}',
        '{"file": 0, "offset": 0.5, "length": 1, "sha256": "%s"}',
        '{"file": 0, "offset": 0, "length": 1, "sha256": "short%s"}',
        '{"dropped": [], "offset": {}, "x": "%s"}',
    ],
)
def test_lines_that_mean_nothing_are_passed_over(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal"
    path.write_text(line % ("a" * 64) + "\n")
    assert held(path) == []


def test_a_line_that_the_disk_has_no_room_for_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.append(RECORDS[0])
    pwrite = os.pwrite

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(descriptor, data[:10], offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        journal.append(RECORDS[1])
    monkeypatch.undo()
    journal.append(PieceRecord(3, 0, 1, "e" * 64))
    journal.close()
    assert held(path) == [RECORDS[0], PieceRecord(3, 0, 1, "e" * 64)]
