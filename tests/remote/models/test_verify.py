"""What is found when files are read again, what is kept of it, and how a copy is mended."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models import folder, records
from gswarm_remote.models import verify as verifying
from gswarm_remote.models.stage import stage
from gswarm_remote.models.store import Store
from gswarm_remote.models.verify import verify

from .conftest import FILES, Bytes, fetch, plan_of, whole_models

PLAN = plan_of(FILES)
WEIGHTS = "model.safetensors"


def verified(store: Store, name: str = "tiny") -> dict[str, Any]:
    return verify(store, name, None, report=lambda report: None, cancelled=threading.Event())


def rot(store: Store, path: str = WEIGHTS, name: str = "tiny") -> None:
    """Turn one bit of a file, as a disk does: size and times stay."""
    file = Path(store.record(name).folder(store.layout)) / path
    times = file.stat()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(data)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def copy_of(store: Store, name: str = "tiny") -> dict[str, Any]:
    (copy,) = [copy for copy in store.copies("disk") if copy["name"] == name]
    return copy


def test_what_is_published_counts_as_verified(store: Store) -> None:
    fetch(store, PLAN, Bytes(FILES))
    copy = copy_of(store)
    assert (copy["verified_at"], copy["damaged"]) == (copy["published_at"], [])
    assert verified(store)["ok"]
    assert copy_of(store)["verified_at"] >= copy["published_at"]
    assert copy_of(store)["last_accessed"] == copy["last_accessed"]


def test_a_damaged_copy_says_so_and_is_not_used(store: Store) -> None:
    fetch(store, PLAN, Bytes(FILES))
    rot(store)
    assert copy_of(store)["state"] == "ready"  # nobody has looked
    assert [fault["path"] for fault in verified(store)["bad"]] == [WEIGHTS]
    copy = copy_of(store)
    assert (copy["state"], copy["damaged"]) == ("damaged", [WEIGHTS])
    with pytest.raises(HelperError) as error:
        store.open("tiny")
    assert (error.value.kind, WEIGHTS in error.value.message) == (Kind.MISMATCH, True)
    rot(store)  # and back
    assert verified(store)["ok"]
    assert copy_of(store)["state"] == "ready"
    assert store.open("tiny")


def test_fetching_again_replaces_what_is_bad_and_nothing_else(store: Store) -> None:
    fetch(store, PLAN, Bytes(FILES))
    full = [path for path in FILES if FILES[path]]
    good = {path: (store.open("tiny")[1] / path).stat().st_ino for path in full}
    rot(store)
    verified(store)
    source = Bytes(FILES)
    fetch(store, PLAN, source)
    assert whole_models(store) == {"tiny": FILES}
    assert verified(store)["ok"]
    now = {path: (store.open("tiny")[1] / path).stat().st_ino for path in full}
    assert {path for path in full if now[path] != good[path]} == {WEIGHTS}


def test_models_that_share_a_bad_file_are_damaged_too(store: Store) -> None:
    fetch(store, PLAN, Bytes(FILES))
    fetch(store, plan_of(FILES, name="twin"), Bytes({}))
    rot(store)
    assert verified(store)["shared_with"] == ["twin r1"]
    assert copy_of(store, "twin")["damaged"] == [WEIGHTS]
    fetch(store, PLAN, Bytes(FILES))
    fetch(store, plan_of(FILES, name="twin"), Bytes({}))  # from the mended one
    assert whole_models(store) == {"tiny": FILES, "twin": FILES}


def test_staging_does_not_spread_it_and_mends_memory(store: Store, tmp_path: Path) -> None:
    memory = Store(tmp_path / "dram")
    quiet: dict[str, Any] = {"report": lambda report: None, "cancelled": threading.Event()}
    fetch(store, PLAN, Bytes(FILES))
    stage(store, memory, "tiny", None, remove_source=False, **quiet)
    rot(memory)
    verified(memory)
    stage(store, memory, "tiny", None, remove_source=False, **quiet)
    assert verified(memory)["ok"]
    rot(store)
    verified(store)
    with pytest.raises(HelperError) as error:
        stage(store, Store(tmp_path / "other"), "tiny", None, remove_source=False, **quiet)
    assert error.value.kind == Kind.MISMATCH


def test_a_cancelled_reading_says_nothing_of_the_files(store: Store) -> None:
    fetch(store, PLAN, Bytes(FILES))
    rot(store)
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(HelperError) as error:
        verify(store, "tiny", None, report=lambda report: None, cancelled=cancelled)
    assert error.value.kind == Kind.CANCELLED
    assert copy_of(store)["state"] == "ready"


def test_a_record_that_cannot_be_written_is_no_failure(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(store, PLAN, Bytes(FILES))
    rot(store)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(records, "write", refuse)
    assert not verified(store)["ok"]
    assert copy_of(store)["state"] == "ready"


def test_a_model_that_is_replaced_meanwhile_is_not_blamed(store: Store) -> None:
    fetch(store, PLAN, Bytes(FILES))
    old = store.record("tiny")
    store.delete("tiny")
    other = {WEIGHTS: b"other bytes"}
    fetch(store, plan_of(other), Bytes(other))
    store.note_reading(old, [WEIGHTS])
    assert copy_of(store)["damaged"] == []


def replacing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let somebody mend the copy when it was read, before it is noted what was found."""
    read = folder.digest_all

    def then_mended(*args: Any, **kwargs: Any) -> Any:
        found = read(*args, **kwargs)
        store.note_reading(store.record("tiny"), [WEIGHTS])
        fetch(store, PLAN, Bytes(FILES))
        fetch(store, plan_of(FILES, name="twin"), Bytes({}))
        return found

    monkeypatch.setattr(verifying, "digest_all", then_mended)


def test_a_copy_that_is_mended_meanwhile_is_not_blamed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(store, PLAN, Bytes(FILES))
    rot(store)
    replacing(store, monkeypatch)
    assert verified(store)["shared_with"] == []
    assert [copy["state"] for copy in store.copies("disk")] == ["ready", "ready"]


def test_who_shares_a_bad_file_was_not_read_for_it(store: Store) -> None:
    fetch(store, PLAN, Bytes(FILES))
    fetch(store, plan_of(FILES, name="twin"), Bytes({}))
    rot(store, "config.json")
    verified(store, "twin")
    read_at = copy_of(store, "twin")["verified_at"]
    rot(store)
    verified(store)
    assert copy_of(store, "twin")["damaged"] == ["config.json", WEIGHTS]
    assert copy_of(store, "twin")["verified_at"] == read_at


def test_a_process_that_may_open_no_more_files_blames_none(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(store, PLAN, Bytes(FILES))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(folder, "digest_file", refuse)
    with pytest.raises(HelperError, match="Too many open files"):
        verified(store)
    assert copy_of(store)["state"] == "ready"


def test_a_reading_of_files_that_the_model_has_not_says_nothing(store: Store) -> None:
    fetch(store, PLAN, Bytes(FILES))
    path = store.layout.record("tiny", "r1")
    values = json.loads(path.read_bytes())
    reading = {"at": "t", "bad": ["../x", 7, None, ["a"], WEIGHTS]}
    record = records.Record.from_bytes(json.dumps({**values, "reading": reading}).encode())
    assert record.bad == (WEIGHTS,)


@pytest.mark.parametrize("reading", [[], {"at": 7, "bad": []}, {"at": "t", "bad": "w"}])
def test_a_reading_that_makes_no_sense_makes_no_record(store: Store, reading: object) -> None:
    fetch(store, PLAN, Bytes(FILES))
    path = store.layout.record("tiny", "r1")
    values = json.loads(path.read_bytes())
    with pytest.raises(HelperError):
        records.Record.from_bytes(json.dumps({**values, "reading": reading}).encode())
