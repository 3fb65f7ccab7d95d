from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models.adopt import AUTO, IN_PLACE, LINK, Found, adopt
from gswarm_remote.models.scan import default_places, scan
from gswarm_remote.models.store import Store

from .conftest import FILES, Bytes, fetch, plan_of, write_folder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def scanned(store: Store, *places: Path) -> list[dict[str, Any]]:
    return scan(store, list(places), cancelled=threading.Event())


def hub(place: Path, repository: str, files: dict[str, bytes]) -> Path:
    """A Hugging Face cache with one snapshot; returns the snapshot."""
    folder = place / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    for number, (path, data) in enumerate(files.items()):
        write_folder(folder / "blobs", {f"blob{number}": data})
        link = snapshot / path
        link.parent.mkdir(parents=True, exist_ok=True)
        depth = "../" * (len(Path(path).parts) + 1)
        link.symlink_to(f"{depth}blobs/blob{number}")
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(COMMIT)
    return snapshot


def test_hub_cache_gives_name_commit_and_source(store: Store, tmp_path: Path) -> None:
    snapshot = hub(tmp_path / "hub", "org/Tiny.Llama-1", FILES)
    gpt = hub(tmp_path / "hub", "gpt2", FILES)
    assert scanned(store, tmp_path / "hub") == [
        {
            "path": str(gpt),
            "name": "gpt2",
            "revision": COMMIT,
            "source": f"hf://gpt2@{COMMIT}",
            "files": len(FILES),
            "size": sum(map(len, FILES.values())),
            "adoptable": True,
            "reason": None,
        },
        {
            "path": str(snapshot),
            "name": "Tiny.Llama-1",
            "revision": COMMIT,
            "source": f"hf://org/Tiny.Llama-1@{COMMIT}",
            "files": len(FILES),
            "size": sum(map(len, FILES.values())),
            "adoptable": True,
            "reason": None,
        },
    ]
    assert not store.root.exists()


def test_unfinished_snapshots_are_named_with_the_reason(store: Store, tmp_path: Path) -> None:
    index = {
        "weight_map": {
            "a": "model-00001-of-00002.safetensors",
            "b": "model-00002-of-00002.safetensors",
        }
    }
    half = {
        "config.json": b"{}",
        "model.safetensors.index.json": json.dumps(index).encode(),
        "model-00001-of-00002.safetensors": b"x",
    }
    hub(tmp_path / "hub", "org/half", half)
    hub(tmp_path / "hub", "org/only-config", {"config.json": b"{}"})
    broken = hub(tmp_path / "hub", "org/broken", FILES)
    (tmp_path / "hub/models--org--broken/blobs/blob1").unlink()
    reasons = {found["name"]: found["reason"] for found in scanned(store, tmp_path / "hub")}
    assert "model-00002-of-00002.safetensors" in reasons["half"]
    assert reasons["only-config"] == "it has no weights"
    assert str(broken / "model.safetensors") in reasons["broken"]


def test_index_of_a_format_that_was_not_fetched_does_not_count(
    store: Store, tmp_path: Path
) -> None:
    index = json.dumps({"weight_map": {"a": "pytorch_model-00001-of-00001.bin"}}).encode()
    hub(tmp_path, "org/tiny", {**FILES, "pytorch_model.bin.index.json": index})
    (found,) = scanned(store, tmp_path)
    assert found["adoptable"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"llama/config.json": b"{}", "llama/model.safetensors": b"x"}, {"llama": True}),
        ({"a/b/c/llama/params.json": b"", "a/b/c/llama/consolidated.00.pth": b""}, {"llama": True}),
        ({"sd/model_index.json": b"{}", "sd/unet/w.safetensors": b"x"}, {"sd": True}),
        ({"gguf/one.gguf": b"1", "gguf/two.gguf": b"2"}, {"one": True, "two": True}),
        ({"gguf/only.gguf": b"1", "gguf/README.md": b""}, {"only": True}),
        (
            {"big/m-00001-of-00002.gguf": b"1", "big/m-00002-of-00002.gguf": b"2"},
            {"big": True},
        ),
        ({"big/m-00001-of-00003.gguf": b"1", "big/m-00003-of-00003.gguf": b"2"}, {"big": False}),
        ({"docs/config.json": b"{}", "docs/readme.txt": b""}, {}),
        ({".hidden/config.json": b"{}", ".hidden/model.safetensors": b""}, {}),
        ({"name with äöü/config.json": b"{}", "name with äöü/w.bin": b""}, {"name-with": True}),
    ],
)
def test_plain_folders(
    store: Store, tmp_path: Path, files: dict[str, bytes], expected: dict[str, bool]
) -> None:
    write_folder(tmp_path / "data", files)
    found = scanned(store, tmp_path / "data")
    assert {entry["name"].rstrip("-"): entry["adoptable"] for entry in found} == expected


@pytest.mark.parametrize("how", [LINK, IN_PLACE])
def test_adopted_model_is_known(store: Store, tmp_path: Path, how: str) -> None:
    snapshot = hub(tmp_path / "hub", "org/tiny", FILES)
    adopt(
        store,
        Found(snapshot, "tiny", COMMIT),
        how,
        report=lambda report: None,
        cancelled=threading.Event(),
    )
    (found,) = scanned(store, tmp_path / "hub")
    assert not found["adoptable"]
    assert found["reason"] == f"it is here as tiny {COMMIT}"


def test_models_folder_itself_is_searched_but_not_what_is_published(
    store: Store, tmp_path: Path
) -> None:
    fetch(store, plan_of(FILES), Bytes(FILES))
    write_folder(store.root / "dropped-here", FILES)
    (found,) = scanned(store, store.root)
    assert found["path"] == str(store.root / "dropped-here")
    adopted = adopt(
        store,
        Found(Path(found["path"]), "mine"),
        AUTO,
        report=lambda report: None,
        cancelled=threading.Event(),
    )
    assert adopted.name == "mine"


def test_place_that_is_not_there(store: Store, tmp_path: Path) -> None:
    with pytest.raises(HelperError) as error:
        scanned(store, tmp_path / "no")
    assert error.value.kind == Kind.NOT_FOUND
    with pytest.raises(HelperError):
        scanned(store, Path("relative"))


def test_default_places_are_those_of_huggingface_hub(tmp_path: Path) -> None:
    for folder in ("home/.cache/huggingface/hub", "hf/hub", "chosen"):
        (tmp_path / folder).mkdir(parents=True)
    home = tmp_path / "home"
    assert default_places({}, home) == [home / ".cache/huggingface/hub"]
    environment = {"HF_HUB_CACHE": str(tmp_path / "chosen"), "HF_HOME": str(tmp_path / "hf")}
    assert default_places(environment, home) == [
        tmp_path / "chosen",
        tmp_path / "hf/hub",
        home / ".cache/huggingface/hub",
    ]
