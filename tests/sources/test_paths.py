"""``file://`` and ``local:``."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from gswarm_tui import sources
from gswarm_tui.errors import SourceError, SourceNameError
from gswarm_tui.progress import Progress


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, content in {
        "model.bin": b"weights",
        "sub/config.json": b"{}",
        ".git/x": b"",
        ".env": b"",
    }.items():
        (tmp_path / "Tiny 1" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "Tiny 1" / path).write_bytes(content)
    return tmp_path / "Tiny 1"


async def test_a_folder_on_the_controller(folder: Path) -> None:
    seen: list[Progress] = []
    resolved = await sources.resolve(f"local:{folder}", progress=seen.append)
    digests = {
        path: hashlib.sha256(content).hexdigest()
        for path, content in [("model.bin", b"weights"), ("sub/config.json", b"{}")]
    }
    assert {file.path: file.sha256 for file in resolved.files} == digests
    assert [file.size for file in resolved.files] == [7, 2]
    assert (resolved.kind, resolved.path, resolved.name) == ("upload", folder, "Tiny-1")
    assert (resolved.headers, resolved.origin) == ({}, None)
    lines = (
        f"{digests['model.bin']}  7  model.bin\n{digests['sub/config.json']}  2  sub/config.json\n"
    )
    assert resolved.revision == hashlib.sha256(lines.encode()).hexdigest()[:40]
    assert seen[-1] == Progress("hash", done=9, total=9)


async def test_patterns_choose(folder: Path) -> None:
    resolved = await sources.resolve(f"local:{folder}", include=["*.json"])
    assert [file.path for file in resolved.files] == ["sub/config.json"]


async def test_a_file_on_the_controller(folder: Path) -> None:
    resolved = await sources.resolve(f"local:{folder}/model.bin")
    assert [(file.path, file.size) for file in resolved.files] == [("model.bin", 7)]
    assert (resolved.path, resolved.name) == (folder / "model.bin", "model")


async def test_a_link_that_leaves_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link").symlink_to("../secret")
    with pytest.raises(SourceError, match="outside of the folder") as raised:
        await sources.resolve(f"local:{folder}")
    assert "link" in raised.value.message
    resolved = await sources.resolve(f"local:{folder}", exclude=["link"])
    assert len(resolved.files) == 2
    (folder / "link").unlink()
    (folder / "link").symlink_to("sub/config.json")
    assert "link" in [file.path for file in (await sources.resolve(f"local:{folder}")).files]


@pytest.mark.parametrize(
    ("target", "reason"), [("nowhere", "link to nothing"), ("sub", "link to a folder")]
)
async def test_links_that_are_no_files(folder: Path, target: str, reason: str) -> None:
    (folder / "link").symlink_to(target)
    with pytest.raises(SourceError, match=reason):
        await sources.resolve(f"local:{folder}")


async def test_what_is_no_file(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(SourceError, match="pipe is no file"):
        await sources.resolve(f"local:{folder}")


async def test_a_hugging_face_cache_is_made_of_links(tmp_path: Path) -> None:
    repository = tmp_path / "models--acme--tiny"
    snapshot = repository / "snapshots" / "abc"
    (repository / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (repository / "blobs" / "123").write_bytes(b"weights")
    (snapshot / "model.bin").symlink_to("../../blobs/123")
    resolved = await sources.resolve(f"local:{snapshot}")
    assert [(file.path, file.size) for file in resolved.files] == [("model.bin", 7)]
    (tmp_path / "secret").write_bytes(b"secret")
    (snapshot / "config.json").symlink_to("../../../secret")
    with pytest.raises(SourceError, match="outside of the folder"):
        await sources.resolve(f"local:{snapshot}")


async def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file or folder on this machine"):
        await sources.resolve(f"local:{tmp_path}/none")


async def test_nobody_waits_for_the_hashing(folder: Path) -> None:
    """Cancelled, the thread stops at its next block."""
    (folder / "model.bin").write_bytes(bytes(64 << 20))
    loop = asyncio.get_running_loop()
    begun = asyncio.Event()
    seen: list[Progress] = []

    def progress(report: Progress) -> None:
        seen.append(report)
        loop.call_soon_threadsafe(begun.set)

    task = asyncio.create_task(sources.resolve(f"local:{folder}", progress=progress))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await loop.shutdown_default_executor()
    assert seen[-1].done is not None
    assert seen[-1].done < 64 << 20


async def test_a_path_on_the_node_is_not_looked_at(tmp_path: Path) -> None:
    resolved = await sources.resolve(f"file://{tmp_path}/not%20here")
    assert (resolved.kind, resolved.path) == ("import", tmp_path / "not here")
    assert (resolved.revision, resolved.files, resolved.size) == (None, (), None)
    assert resolved.reference == f"file://{tmp_path}/not%20here"


@pytest.mark.parametrize("reference", ["file:///models/a", "https://host/file"])
async def test_what_makes_no_sense(reference: str) -> None:
    with pytest.raises(SourceNameError, match="make no sense"):
        await sources.resolve(reference, include=["*.json"])
    with pytest.raises(SourceNameError, match="make no sense"):
        await sources.resolve(reference, revision="main")
    with pytest.raises(SourceNameError, match="no revisions"):
        await sources.resolve("local:.", revision="main")
