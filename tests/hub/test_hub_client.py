"""The proof that it is a hub: huggingface_hub's own client, over HTTP.

``endpoint=`` is passed everywhere, because the client reads HF_ENDPOINT when it is imported.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import (
    HfApi,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    snapshot_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile, RepoFolder
from huggingface_hub.utils import close_session

from gswarm_tui.hub.repository import LFS_THRESHOLD
from gswarm_tui.hub.server import Hub, running

pytestmark = pytest.mark.usefixtures("servers_end_soon")

WEIGHTS = bytes(range(256)) * (LFS_THRESHOLD // 256) + b"the end"
FILES = {
    "config.json": b'{"model_type": "llama"}\n',
    "empty.txt": b"",
    "model.safetensors": WEIGHTS,
    "onnx/deep/a b#é%2F?.txt": b"an awkward name",
}
AWKWARD = "onnx/deep/a b#é%2F?.txt"


@contextmanager
def serving(folder: Path, *, token: str | None = None) -> Iterator[Hub]:
    """Run a hub in a thread for as long as the context is open."""
    started: Future[tuple[Hub, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        async with running(folder, token=token) as hub:
            started.set_result((hub, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    hub, loop, stop = started.result(timeout=20)
    try:
        yield hub
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        close_session()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with the model acme/tiny in it."""
    write(tmp_path / "hub" / "acme" / "tiny", FILES)
    return tmp_path / "hub"


@pytest.fixture
def hub(models: Path) -> Iterator[Hub]:
    with serving(models) as hub:
        yield hub


def api(hub: Hub, token: str | bool = False) -> HfApi:
    return HfApi(endpoint=hub.url, token=token)


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_snapshot_download_brings_every_file(hub: Hub, tmp_path: Path) -> None:
    folder = snapshot_download(
        "acme/tiny", endpoint=hub.url, cache_dir=tmp_path / "cache", token=False
    )
    assert content(Path(folder)) == FILES
    commit = api(hub).model_info("acme/tiny").sha
    assert Path(folder).name == commit


def test_snapshot_download_of_a_commit_with_patterns(hub: Hub, tmp_path: Path) -> None:
    folder = snapshot_download(
        "acme/tiny",
        revision=api(hub).model_info("acme/tiny").sha,
        endpoint=hub.url,
        local_dir=tmp_path / "here",
        allow_patterns=["*.json", "onnx/"],
        token=False,
    )
    found = content(Path(folder))
    assert {path for path in found if not path.startswith(".cache")} == {"config.json", AWKWARD}


@pytest.mark.parametrize("path", FILES)
def test_one_file(hub: Hub, tmp_path: Path, path: str) -> None:
    file = hf_hub_download(
        "acme/tiny", path, endpoint=hub.url, cache_dir=tmp_path / "cache", token=False
    )
    assert Path(file).read_bytes() == FILES[path]


def test_model_info_tells_sizes_and_hashes(hub: Hub) -> None:
    info = api(hub).model_info("acme/tiny", files_metadata=True)
    assert (info.id, info.author, info.gated, info.private) == ("acme/tiny", "acme", False, False)
    assert info.sha is not None
    assert len(info.sha) == 40
    files = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    assert {path: file.size for path, file in files.items()} == {
        path: len(content) for path, content in FILES.items()
    }
    lfs = files["model.safetensors"].lfs
    assert lfs is not None
    assert (lfs.sha256, lfs.size) == (hashlib.sha256(WEIGHTS).hexdigest(), len(WEIGHTS))
    # git hash-object of these bytes.
    assert files["config.json"].blob_id == "9eddb62b076f586b2186445e7872e5a05f0dfe06"
    assert files["empty.txt"].blob_id == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert files["config.json"].lfs is None


def test_tree_by_folder_and_recursive(hub: Hub) -> None:
    top = list(api(hub).list_repo_tree("acme/tiny"))
    assert [entry.path for entry in top] == [
        "config.json",
        "empty.txt",
        "model.safetensors",
        "onnx",
    ]
    assert isinstance(top[-1], RepoFolder)
    below = list(api(hub).list_repo_tree("acme/tiny", "onnx"))
    assert [entry.path for entry in below] == ["onnx/deep"]
    everything = list(api(hub).list_repo_tree("acme/tiny", recursive=True))
    assert sorted(entry.path for entry in everything if isinstance(entry, RepoFile)) == sorted(
        FILES
    )
    assert [entry.path for entry in everything if isinstance(entry, RepoFolder)] == [
        "onnx",
        "onnx/deep",
    ]
    with pytest.raises(EntryNotFoundError):
        list(api(hub).list_repo_tree("acme/tiny", "nowhere"))


def test_metadata_of_a_file(hub: Hub) -> None:
    commit = api(hub).model_info("acme/tiny").sha
    large = get_hf_file_metadata(hf_hub_url("acme/tiny", "model.safetensors", endpoint=hub.url))
    assert large.etag == hashlib.sha256(WEIGHTS).hexdigest()
    assert (large.size, large.commit_hash) == (len(WEIGHTS), commit)
    small = get_hf_file_metadata(hf_hub_url("acme/tiny", "config.json", endpoint=hub.url))
    assert (small.etag, small.size) == (
        "9eddb62b076f586b2186445e7872e5a05f0dfe06",
        len(FILES["config.json"]),
    )


def test_what_is_missing_raises_the_clients_own_errors(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError, match="no model acme/other"):
        api(hub).model_info("acme/other")
    with pytest.raises(RevisionNotFoundError):
        api(hub).model_info("acme/tiny", revision="v1")
    with pytest.raises(RevisionNotFoundError):
        api(hub).model_info("acme/tiny", revision="refs/pr/1")
    for revision, path, error in [
        ("main", "nope.bin", EntryNotFoundError),
        ("0" * 40, "config.json", RevisionNotFoundError),
    ]:
        with pytest.raises(error):
            hf_hub_download(
                "acme/tiny",
                path,
                revision=revision,
                endpoint=hub.url,
                cache_dir=tmp_path / "cache",
                token=False,
            )


def test_a_changed_folder_is_another_commit(hub: Hub, models: Path) -> None:
    before = api(hub).model_info("acme/tiny").sha
    assert api(hub).model_info("acme/tiny").sha == before
    write(models / "acme" / "tiny", {"config.json": b"{}"})
    after = api(hub).model_info("acme/tiny").sha
    assert after != before
    with pytest.raises(RevisionNotFoundError):
        api(hub).model_info("acme/tiny", revision=before)
    # The content is what counts, not when or how it was written.
    write(models / "acme" / "tiny", {"config.json": FILES["config.json"]})
    assert api(hub).model_info("acme/tiny").sha == before


def test_a_guarded_hub_wants_its_token(models: Path, tmp_path: Path) -> None:
    with serving(models, token="hf_secret") as hub:
        with pytest.raises(GatedRepoError, match="set HF_TOKEN"):
            snapshot_download("acme/tiny", endpoint=hub.url, cache_dir=tmp_path / "a", token=False)
        with pytest.raises(HfHubHTTPError, match="Invalid credentials"):
            api(hub, "hf_wrong").model_info("acme/tiny")
        with pytest.raises(GatedRepoError):
            get_hf_file_metadata(hf_hub_url("acme/tiny", "config.json", endpoint=hub.url))
        folder = snapshot_download(
            "acme/tiny", endpoint=hub.url, cache_dir=tmp_path / "b", token="hf_secret"
        )
        assert content(Path(folder)) == FILES
