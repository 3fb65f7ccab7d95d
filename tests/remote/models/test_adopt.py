from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models import folder as folder_module
from gswarm_remote.models.adopt import AUTO, IN_PLACE, LINK, Found, adopt, copy_in
from gswarm_remote.models.folder import files_of
from gswarm_remote.models.manifest import Manifest
from gswarm_remote.models.store import Store
from gswarm_remote.models.verify import verify

from .conftest import FILES, content, whole_models, write_folder


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "mine", {**FILES, ".git/HEAD": b"ref"})


def found(place: Path, **changes: Any) -> Found:
    return Found(**{"place": place, "name": "tiny", **changes})


def taken(how: Any, store: Store, what: Found, *rest: str) -> Manifest:
    manifest: Manifest = how(
        store, what, *rest, report=lambda report: None, cancelled=threading.Event()
    )
    return manifest


def verified(store: Store) -> dict[str, Any]:
    return verify(store, "tiny", None, report=lambda report: None, cancelled=threading.Event())


def state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Everything but the number of links: what an adoption must not change in somebody's folder."""
    return {
        path.relative_to(folder).as_posix(): (info.st_mode, info.st_size, info.st_mtime_ns)
        for path in (folder, *folder.rglob("*"))
        for info in [path.lstat()]
    }


def test_copying_in_leaves_the_folder_alone(store: Store, mine: Path) -> None:
    before = state(mine)
    manifest = taken(copy_in, store, found(mine, metadata={"type": "llm"}))
    assert whole_models(store) == {"tiny": FILES}
    assert manifest.revision == manifest.hash[:40]
    assert manifest.source == f"file://{mine}"
    assert manifest.metadata == {"type": "llm"}
    assert state(mine) == before
    assert taken(copy_in, store, found(mine)) == manifest


def test_single_file_is_a_model(store: Store, mine: Path) -> None:
    taken(copy_in, store, found(mine / "model.safetensors"))
    assert whole_models(store) == {"tiny": {"model.safetensors": FILES["model.safetensors"]}}


@pytest.mark.parametrize("how", [LINK, AUTO])
def test_linking_shares_the_files_and_changes_nothing_there(
    store: Store, mine: Path, how: str
) -> None:
    before = state(mine)
    manifest = taken(adopt, store, found(mine, revision="v1"), how)
    assert whole_models(store) == {"tiny": FILES}
    assert (store.root / "tiny/v1/config.json").samefile(mine / "config.json")
    assert state(mine) == before
    assert manifest.location is None
    assert store.delete("tiny")[1] == 0  # the bytes are still there, in the owner's folder
    assert state(mine) == before


def test_in_place_only_a_record_is_made(store: Store, mine: Path) -> None:
    before = state(mine)
    manifest = taken(adopt, store, found(mine, revision="v1"), IN_PLACE)
    assert manifest.location == str(mine)
    (copy,) = store.copies("disk")
    assert (copy["state"], copy["path"], copy["external"]) == ("ready", str(mine), True)
    assert not (store.root / "tiny").exists()
    assert store.open("tiny")[1] == mine
    assert verified(store)["ok"]
    assert store.used() == 0
    assert store.delete("tiny") == (["tiny v1"], 0)
    assert state(mine) == before
    assert store.copies("disk") == []


def test_changed_in_place_it_is_not_served(store: Store, mine: Path) -> None:
    taken(adopt, store, found(mine), IN_PLACE)
    (mine / "config.json").write_bytes(b'{"model_type": "other"}')
    (copy,) = store.copies("disk")
    assert copy["state"] == "changed"
    with pytest.raises(HelperError) as error:
        store.open("tiny")
    assert error.value.kind == Kind.MISMATCH
    result = verified(store)
    assert [fault["path"] for fault in result["bad"]] == ["config.json"]
    taken(adopt, store, found(mine), IN_PLACE)  # as it is now
    assert store.manifest("tiny").files != ()
    assert {copy["state"] for copy in store.copies("disk")} == {"changed", "ready"}


def test_where_linking_cannot_be_auto_records_and_link_says_why(
    store: Store, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(HelperError) as error:
        taken(adopt, store, found(mine), LINK)
    assert error.value.kind == Kind.UNSUPPORTED
    assert "Operation not permitted" in error.value.message
    assert taken(adopt, store, found(mine), AUTO).location == str(mine)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file of another user")
def test_files_of_another_user_are_not_linked(store: Store, mine: Path) -> None:
    os.chown(mine / "config.json", 12345, 12345)
    with pytest.raises(HelperError) as error:
        taken(adopt, store, found(mine), LINK)
    assert "another user" in error.value.message
    assert taken(adopt, store, found(mine), AUTO).location == str(mine)


def test_files_on_another_filesystem_are_not_linked(store: Store, tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no other filesystem here")
    place = memory / f"gswarm-test-{os.getpid()}"
    try:
        write_folder(place, FILES)
        assert taken(adopt, store, found(place), AUTO).location == str(place)
    finally:
        for path in sorted(place.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        place.rmdir()


@pytest.mark.parametrize("how", [LINK, IN_PLACE])
def test_file_that_changes_while_it_is_hashed(
    store: Store, mine: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = folder_module.digest_file

    def digest_and_change(path: Path, **options: Any) -> Any:
        result = digest(path, **options)
        if path.name == "config.json":
            path.write_bytes(b"{}")
        return result

    monkeypatch.setattr(folder_module, "digest_file", digest_and_change)
    with pytest.raises(HelperError) as error:
        taken(adopt, store, found(mine), how)
    assert error.value.kind == Kind.MISMATCH
    assert store.copies("disk") == []


def test_hub_snapshot_is_linked_by_its_blobs(store: Store, tmp_path: Path) -> None:
    repository = tmp_path / "hub/models--org--tiny"
    write_folder(repository / "blobs", {"aaa": FILES["config.json"], "bbb": b"weights"})
    snapshot = repository / "snapshots/c0ffee"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").symlink_to("../../blobs/aaa")
    (snapshot / "model.safetensors").symlink_to("../../blobs/bbb")
    taken(adopt, store, found(snapshot, revision="c0ffee", source="hf://org/tiny@c0ffee"), LINK)
    expected = {"config.json": FILES["config.json"], "model.safetensors": b"weights"}
    assert whole_models(store) == {"tiny": expected}
    assert (store.root / "tiny/c0ffee/config.json").samefile(repository / "blobs/aaa")
    assert not (store.root / "tiny/c0ffee/config.json").is_symlink()


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "sub/../../secret"])
def test_link_that_leads_out_is_refused(tmp_path: Path, mine: Path, target: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (mine / "sub").mkdir()
    (mine / "innocent").symlink_to(target)
    with pytest.raises(HelperError) as error:
        files_of(mine)
    assert error.value.kind == Kind.INVALID
    assert error.value.where == str(mine / "innocent")


def test_link_within_the_folder_is_followed(mine: Path) -> None:
    (mine / "alias").symlink_to("config.json")
    assert files_of(mine)["alias"].path == mine / "config.json"


def test_folders_that_are_no_models(mine: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place, kind in ((tmp_path / "empty", Kind.INVALID), (tmp_path / "no", Kind.NOT_FOUND)):
        with pytest.raises(HelperError) as error:
            files_of(place)
        assert error.value.kind == kind
    (mine / "loop").symlink_to("loop")
    with pytest.raises(HelperError):
        files_of(mine)
    (mine / "loop").unlink()
    os.mkfifo(mine / "pipe")
    with pytest.raises(HelperError) as error:
        files_of(mine)
    assert error.value.where == str(mine / "pipe")
    (mine / "pipe").unlink()
    (mine / "up").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(HelperError) as error:
        files_of(mine)
    assert error.value.where == str(mine / "up")


def test_what_is_asked_is_checked(store: Store, mine: Path) -> None:
    for wrong in (
        lambda: found(Path("relative")),
        lambda: taken(adopt, store, found(mine), "move"),
        lambda: taken(adopt, store, found(mine, name="../x"), IN_PLACE),
    ):
        with pytest.raises(HelperError) as error:
            wrong()
        assert error.value.kind == Kind.INVALID


def test_verification_names_who_shares_a_bad_file(store: Store, mine: Path) -> None:
    taken(adopt, store, found(mine, revision="v1"), LINK)
    other = write_folder(mine.parent / "other", {"w": FILES["model.safetensors"], "own": b"x"})
    taken(copy_in, store, found(other, name="other"))
    assert verified(store) == {"ok": True, "revision": "v1", "bad": [], "shared_with": []}
    (mine / "model.safetensors").write_bytes(b"\0" * len(FILES["model.safetensors"]))
    (store.root / "tiny/v1/config.json").unlink()
    result = verified(store)
    assert not result["ok"]
    assert [fault["path"] for fault in result["bad"]] == ["config.json", "model.safetensors"]
    (revision,) = [copy["revision"] for copy in store.copies("disk") if copy["name"] == "other"]
    assert result["shared_with"] == [f"other {revision}"]
    assert content(store.root / "other" / revision)["own"] == b"x"
