from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gswarm_tui.hub.repository import LFS_THRESHOLD, FileChangedError, Library, Snapshot


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hub" / "acme" / "tiny").mkdir(parents=True)
    (tmp_path / "hub" / "acme" / "tiny" / "config.json").write_bytes(b"{}")
    return tmp_path / "hub"


def snapshot(
    library: Library, name: str = "acme/tiny", hashing: Callable[[str, int], None] | None = None
) -> Snapshot:
    organisation, _, repository = name.partition("/")
    found = library.snapshot(organisation, repository, hashing=hashing)
    assert found is not None
    return found


def test_only_what_changed_is_hashed_again(folder: Path) -> None:
    library = Library(folder)
    weights = folder / "acme" / "tiny" / "model.bin"
    weights.write_bytes(bytes(LFS_THRESHOLD))
    hashed: list[str] = []
    first = snapshot(library, hashing=lambda path, size: hashed.append(path))
    assert sorted(hashed) == ["config.json", "model.bin"]
    assert snapshot(library, hashing=lambda path, size: hashed.append(path)) == first
    assert len(hashed) == 2
    # As long as before, and with the old time put back: the change time still tells.
    status = weights.stat()
    weights.write_bytes(b"x" * LFS_THRESHOLD)
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = snapshot(library, hashing=lambda path, size: hashed.append(path))
    assert hashed[2:] == ["model.bin"]
    assert second.commit != first.commit


def test_the_threshold_decides_what_is_an_lfs_file(folder: Path) -> None:
    for name, size in [("below", LFS_THRESHOLD - 1), ("at", LFS_THRESHOLD)]:
        (folder / "acme" / "tiny" / name).write_bytes(bytes(size))
    files = snapshot(Library(folder)).files
    assert files["below"].sha256 is None
    assert files["below"].etag == files["below"].oid
    assert files["at"].etag == files["at"].sha256


def test_what_is_not_served(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_bytes(b"file")
    tiny = folder / "acme" / "tiny"
    (tiny / ".git").mkdir()
    (tiny / ".git" / "config").write_bytes(b"")
    (tiny / ".hidden").write_bytes(b"hidden")
    (tiny / "back\\slash").write_bytes(b"")
    (tiny / "line\nbreak").write_bytes(b"")
    os.mkfifo(tiny / "pipe")
    for name, target in [
        ("escapes", "../../../secret"),
        ("absolute", secret),
        ("to-a-folder", "../../../elsewhere"),
        ("to-hidden", ".hidden"),
        ("to-nothing", "nowhere"),
        ("to-itself", "to-itself"),
        ("inside", "config.json"),
    ]:
        (tiny / name).symlink_to(target)
    assert list(snapshot(Library(folder)).files) == ["config.json", "inside"]


def test_which_folders_are_repositories(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "model").mkdir(parents=True)
    (folder / ".cache" / "model").mkdir(parents=True)
    (folder / "acme" / "a--b").mkdir()
    (folder / "file").write_bytes(b"")
    (folder / "away").symlink_to(tmp_path / "elsewhere")
    (folder / "acme" / "away").symlink_to(tmp_path / "elsewhere" / "model")
    (folder / "acme" / "alias").symlink_to("tiny")
    library = Library(folder)
    assert library.names() == ["acme/alias", "acme/tiny"]
    assert snapshot(library, "acme/alias").commit == snapshot(library).commit
    for organisation, name in [
        ("away", "model"),
        ("acme", "away"),
        ("..", "hub"),
        ("acme", ".."),
        (".cache", "model"),
        ("acme", "a--b"),
        ("", "acme"),
    ]:
        assert library.snapshot(organisation, name) is None


def test_a_file_that_is_swapped_after_the_listing_is_not_opened(
    folder: Path, tmp_path: Path
) -> None:
    library = Library(folder)
    path = folder / "acme" / "tiny" / "config.json"
    (tmp_path / "secret").write_bytes(b"{}")
    file = snapshot(library).files["config.json"]
    with file.open() as stream:
        assert stream.read() == b"{}"
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(FileChangedError):
        file.open()
    path.unlink()
    path.write_bytes(b"[]")
    with pytest.raises(FileChangedError):
        file.open()


def test_a_closed_library_stops_hashing(folder: Path) -> None:
    (folder / "acme" / "tiny" / "model.bin").write_bytes(bytes(LFS_THRESHOLD))
    library = Library(folder)
    library.close()
    with pytest.raises(OSError, match="stopped"):
        library.snapshot("acme", "tiny")
