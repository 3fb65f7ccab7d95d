"""Files that are replaced as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from gswarm_tui import wholefile


def test_the_old_content_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a long old content")
    wholefile.write(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_where_it_cannot_be_replaced_nothing_is_left_over(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        wholefile.write(folder, b"new")
    assert list(tmp_path.iterdir()) == [folder]
