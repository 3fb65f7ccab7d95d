from __future__ import annotations

import os
from pathlib import Path

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models.manifest import PlanFile
from gswarm_remote.transfer import localcopy
from gswarm_remote.transfer.limits import Doing
from gswarm_remote.transfer.localcopy import LocalSource

DATA = os.urandom(2500)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalSource:
    monkeypatch.setattr(localcopy, "READ", 700)
    (tmp_path / "weights").write_bytes(DATA)
    return LocalSource({"a/weights": tmp_path / "weights", "gone": tmp_path / "gone"})


def read(source: LocalSource, path: str, offset: int, length: int | None) -> bytes:
    parts: list[bytes] = []
    source.fetch(PlanFile(path), offset, length, lambda data: parts.append(bytes(data)), Doing())
    return b"".join(parts)


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 2500), (0, None), (1000, 1000), (2499, 1), (700, None), (0, 0)]
)
def test_a_piece_is_read(source: LocalSource, offset: int, length: int | None) -> None:
    end = None if length is None else offset + length
    assert read(source, "a/weights", offset, length) == DATA[offset:end]


def test_file_that_became_shorter_is_no_longer_what_was_promised(source: LocalSource) -> None:
    with pytest.raises(HelperError) as error:
        read(source, "a/weights", 2000, 1000)
    assert error.value.kind == Kind.MISMATCH
    assert "2500" in error.value.message


def test_file_that_went_is_named(source: LocalSource, tmp_path: Path) -> None:
    with pytest.raises(HelperError) as error:
        read(source, "gone", 0, 1)
    assert error.value.kind == Kind.NOT_FOUND
    assert error.value.where == str(tmp_path / "gone")
