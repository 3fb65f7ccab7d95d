from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models import records
from gswarm_remote.models.manifest import Manifest, Plan, PlanFile, content_revision
from gswarm_remote.models.store import Store
from gswarm_remote.transfer.assemble import assemble

from .conftest import FILES, Bytes, content, fetch, plan_of, whole_models, write_folder

PLAN = plan_of(FILES)


def copy_of(store: Store, name: str = "tiny") -> dict[str, Any]:
    (copy,) = [copy for copy in store.copies("disk") if copy["name"] == name]
    return copy


def test_store_that_is_not_there_is_empty_and_stays_away(store: Store) -> None:
    assert store.copies("disk") == []
    assert store.used() == 0
    with pytest.raises(HelperError) as error:
        store.manifest("tiny")
    assert error.value.kind == Kind.NOT_FOUND
    assert not store.root.exists()


def test_copy_says_what_is_here(store: Store) -> None:
    manifest = fetch(store, PLAN, Bytes(FILES))
    copy = copy_of(store)
    assert copy["state"] == "ready"
    assert copy["revision"] == "r1"
    assert copy["size"] == copy["done"] == sum(map(len, FILES.values()))
    assert copy["hash"] == manifest.hash
    assert copy["files"] == len(FILES)
    assert copy["external"] is False
    assert content(Path(copy["path"])) == FILES
    assert copy["last_accessed"] >= copy["published_at"]


def test_model_in_flight_is_listed_with_its_bytes(store: Store, small_pieces: int) -> None:
    with store.open_partial(PLAN) as partial:
        with partial.piece_writer(1, 1000) as writer:
            writer.write(FILES["model.safetensors"][1000:2000])
            writer.commit()
        copy = copy_of(store)
    assert (copy["state"], copy["done"], copy["size"]) == ("partial", 1000, PLAN.size)


def test_content_is_the_revision_where_the_source_has_none(store: Store) -> None:
    manifest = fetch(store, plan_of(FILES, revision=None), Bytes(FILES))
    assert manifest.revision == content_revision(manifest.files)
    unpromised = Plan("tiny", None, "https://x", tuple(PlanFile(path) for path in FILES))
    assert (
        fetch(store, unpromised, Bytes(FILES)) == manifest
    )  # found to be the same: published once
    assert len(store.copies("disk")) == 1


def test_latest_revision_is_the_one_published_last(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(["2026-01-02T00:00:00.000Z", "2026-01-01T00:00:00.000Z"])
    monkeypatch.setattr("gswarm_remote.models.store.now", lambda: next(times))
    fetch(store, plan_of({"a": b"new"}, revision="b"), Bytes({"a": b"new"}))
    fetch(store, plan_of({"a": b"old"}, revision="z"), Bytes({"a": b"old"}))
    assert store.manifest("tiny").revision == "b"
    assert store.manifest("tiny", "z").revision == "z"


def test_fetching_again_does_nothing(store: Store) -> None:
    first = fetch(store, PLAN, Bytes(FILES))
    again = Bytes(FILES)
    assert fetch(store, PLAN, again) == first
    assert again.asked == []
    assert not any(store.layout.partials.iterdir())


def test_other_content_under_one_revision_is_refused(store: Store) -> None:
    fetch(store, PLAN, Bytes(FILES))
    other = {**FILES, "config.json": b"{}"}
    with pytest.raises(HelperError) as error:
        fetch(store, plan_of(other), Bytes(other))
    assert error.value.kind == Kind.EXISTS
    assert "config.json" in error.value.message
    assert whole_models(store) == {"tiny": FILES}


def test_part_of_a_published_model_is_here_already(store: Store) -> None:
    fetch(store, PLAN, Bytes(FILES))
    part = {"config.json": FILES["config.json"]}
    assert store.published(plan_of(part)) == store.manifest("tiny")
    more = {**FILES, "extra": b"x"}
    with pytest.raises(HelperError):
        store.published(plan_of(more))


def test_equal_files_are_linked_and_not_fetched(store: Store, small_pieces: int) -> None:
    fetch(store, PLAN, Bytes(FILES))
    used = store.used()
    files = {"weights/0.safetensors": FILES["model.safetensors"], "config.json": b"{}"}
    source = Bytes(files)
    fetch(store, plan_of(files, name="other"), source)
    assert source.asked == [("config.json", 0)]
    assert whole_models(store) == {"tiny": FILES, "other": files}
    linked = store.root / "other/r1/weights/0.safetensors"
    assert linked.samefile(store.root / "tiny/r1/model.safetensors")
    assert store.used() == used + 2
    assert store.delete("tiny")[1] == used - len(FILES["model.safetensors"])
    assert whole_models(store) == {"other": files}


def test_bad_published_file_is_not_passed_on(store: Store, small_pieces: int) -> None:
    fetch(store, PLAN, Bytes(FILES))
    bad = store.root / "tiny/r1/model.safetensors"
    bad.chmod(0o644)
    bad.write_bytes(b"\0" * len(FILES["model.safetensors"]))
    files = {"w": FILES["model.safetensors"]}
    source = Bytes(files)
    fetch(store, plan_of(files, name="other"), source)
    assert [offset for _, offset in source.asked] == [0, 1000, 2000]
    assert content(store.root / "other") == {"r1/w": files["w"]}
    assert bad.read_bytes() == b"\0" * len(files["w"])


def test_equal_file_that_cannot_be_linked_is_copied(
    store: Store, small_pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(store, PLAN, Bytes(FILES))

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    files = {"w": FILES["model.safetensors"]}
    source = Bytes(files)
    fetch(store, plan_of(files, name="other"), source)
    assert source.asked == []
    assert content(store.root / "other") == {"r1/w": files["w"]}
    assert not (store.root / "other/r1/w").samefile(store.root / "tiny/r1/model.safetensors")


def test_bad_equal_file_that_was_copied_is_fetched_instead(
    store: Store, small_pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(store, PLAN, Bytes(FILES))
    bad = store.root / "tiny/r1/model.safetensors"
    bad.chmod(0o644)
    bad.write_bytes(b"\0" * len(FILES["model.safetensors"]))
    monkeypatch.setattr(os, "link", lambda *args, **kwargs: 1 / 0, raising=True)
    monkeypatch.setattr("gswarm_remote.models.partial.Partial.link", lambda *args: False)
    files = {"w": FILES["model.safetensors"]}
    source = Bytes(files)
    fetch(store, plan_of(files, name="other"), source)
    assert sorted(source.asked) == [("w", 0), ("w", 1000), ("w", 2000)]
    assert content(store.root / "other") == {"r1/w": files["w"]}


def test_deletion_takes_every_revision_and_what_is_in_flight(store: Store) -> None:
    fetch(store, PLAN, Bytes(FILES))
    fetch(store, plan_of({"a": b"x"}, revision="r2"), Bytes({"a": b"x"}))
    store.open_partial(plan_of({"b": b"y"}, revision="r3")).close()
    removed, freed = store.delete("tiny")
    assert sorted(removed) == ["tiny r1", "tiny r2", "tiny r3 (partial)"]
    assert freed == sum(map(len, FILES.values())) + 1
    assert store.copies("disk") == []
    assert content(store.root).keys() == {".gswarm/lock"}
    with pytest.raises(HelperError) as error:
        store.delete("tiny")
    assert error.value.kind == Kind.NOT_FOUND


def test_deletion_of_one_revision_leaves_the_others(store: Store) -> None:
    fetch(store, PLAN, Bytes(FILES))
    fetch(store, plan_of({"a": b"x"}, revision="r2"), Bytes({"a": b"x"}))
    assert store.delete("tiny", "r2")[0] == ["tiny r2"]
    assert whole_models(store) == {"tiny": FILES}


def test_model_that_is_being_fetched_is_not_deleted(store: Store) -> None:
    with store.open_partial(PLAN) as partial:
        with pytest.raises(HelperError) as error:
            store.delete("tiny")
        assert error.value.kind == Kind.IN_USE
        assert partial.folder.is_dir()


def test_metadata_is_updated_and_the_use_is_not(store: Store) -> None:
    fetch(store, plan_of(FILES, metadata={"type": "llm", "tags": ["a"]}), Bytes(FILES))
    os.utime(store.layout.record("tiny", "r1"), (1000, 1000))
    (manifest,) = store.describe("tiny", {"description": "small", "tags": ["b"]})
    assert manifest.metadata["updated_at"]
    copy = copy_of(store)
    assert copy["metadata"] == manifest.metadata
    assert {"type": "llm", "description": "small", "tags": ["b"]}.items() <= copy[
        "metadata"
    ].items()
    assert copy["last_accessed"] == "1970-01-01T00:16:40.000Z"
    store.open("tiny")
    assert copy_of(store)["last_accessed"] > "2026"


def test_model_whose_file_went_is_not_opened(store: Store) -> None:
    fetch(store, PLAN, Bytes(FILES))
    (store.root / "tiny/r1/config.json").unlink()
    with pytest.raises(HelperError) as error:
        store.open("tiny")
    assert error.value.kind == Kind.MISMATCH
    assert "config.json" in error.value.message


def test_damaged_record_is_passed_over(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    fetch(store, PLAN, Bytes(FILES))
    fetch(store, plan_of({"a": b"x"}, name="other"), Bytes({"a": b"x"}))
    path = store.layout.record("tiny", "r1")
    whole = path.read_bytes()
    for damaged in (whole[:-10], b"[]", b"{}", whole.replace(b'"tiny"', b'"liar"')):
        path.write_bytes(damaged)
        assert [copy["name"] for copy in store.copies("disk")] == ["other"]
    assert str(path) in caplog.text


def test_folder_that_somebody_else_made_is_not_written_into(store: Store) -> None:
    write_folder(store.root / "tiny", {"config.json": b"mine"})
    with pytest.raises(HelperError) as error:
        fetch(store, PLAN, Bytes(FILES))
    assert error.value.kind == Kind.EXISTS
    assert content(store.root / "tiny") == {"config.json": b"mine"}


def test_two_stores_of_one_folder_publish_the_same_model_once(tmp_path: Path) -> None:
    stores = [Store(tmp_path / "models") for _ in range(2)]
    started, sources = threading.Barrier(2), [Bytes(FILES), Bytes(FILES)]

    def run(number: int) -> Manifest:
        cancelled = threading.Event()
        started.wait()
        with stores[number].open_partial(PLAN, cancelled=cancelled) as partial:
            return assemble(
                partial, sources[number], report=lambda report: None, cancelled=cancelled
            )

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, range(2))
    assert first == second
    assert whole_models(stores[0]) == {"tiny": FILES}
    asked = sources[0].asked + sources[1].asked
    assert len(asked) == len(set(asked))


def test_timestamps_sort_as_text() -> None:
    assert records.timestamp(0) == "1970-01-01T00:00:00.000Z"
    moments = [records.timestamp(second / 7) for second in range(100)]
    assert moments == sorted(moments)


@pytest.mark.parametrize("damage", ["file", "record"])
def test_fetching_again_mends_what_is_broken(store: Store, damage: str) -> None:
    fetch(store, PLAN, Bytes(FILES))
    path = store.root / "tiny/r1/config.json"
    if damage == "record":
        path = store.layout.record("tiny", "r1")
    path.unlink()
    path.write_bytes(b"{")
    fetch(store, PLAN, Bytes(FILES))
    assert whole_models(store) == {"tiny": FILES}
    assert not any(store.layout.trash.iterdir())


def test_a_record_is_read_once_until_it_changes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(store, plan_of(FILES), Bytes(FILES))
    parse, parsed = records._parse, []
    monkeypatch.setattr(records, "_kept", {})
    monkeypatch.setattr(records, "_parse", lambda path: (parsed.append(path), parse(path))[1])
    for number in range(3):
        store.copies("disk")
        store.copies("disk")
        assert len(parsed) == number + 1
        assert len(records._kept) == 1
        os.utime(store.layout.record("tiny", "r1"), ns=(0, number))  # as each use does


def test_records_that_are_remembered_are_few(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_kept", {})
    monkeypatch.setattr(records, "_MAX_KEPT", 2)
    for name in ("a", "b", "c"):
        fetch(store, plan_of(FILES, name=name), Bytes(FILES))
    assert sorted(copy["name"] for copy in store.copies("disk")) == ["a", "b", "c"]
    assert [path.parent.name for path in records._kept] == ["b", "c"]
