"""A helper that dies between any two steps leaves no half model, and nothing is fetched twice."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote import flocks
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models import adopt, journal, piece, publication
from gswarm_remote.models.store import Store
from gswarm_remote.transfer.assemble import finish

from .conftest import FILES, Bytes, content, fetch, plan_of, whole_models, write_folder

STEPS = [
    *("open", "mkdir", "rename", "replace", "unlink", "rmdir", "link", "chmod", "utime"),
    *("ftruncate", "pwrite", "fsync", "fdatasync"),
]
DIED = 77


def dies_at(step: int, work: Callable[[], Any]) -> bool:
    """Do `work` in a child that is gone at its `step`-th change of the disk; False if it got by."""
    child = os.fork()
    if child == 0:
        try:
            _count_down(step)
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, DIED), f"the child failed at step {step}"
    return status == DIED


def _count_down(step: int) -> None:
    left = [step]
    guard = threading.Lock()

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with guard:
                if left[0] == 0:
                    os._exit(DIED)
                left[0] -= 1
            return function(*args, **kwargs)

        return call

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    piece._sync_data = os.fdatasync


def verified_pieces(store: Store) -> set[tuple[str, int]]:
    """What the journals on disk vouch for."""
    names = [file.path for file in PLAN.files]
    return {
        (names[record.file], record.offset)
        for path in store.layout.partials.glob("*/journal")
        for file in journal.read(path)[0].values()
        for record in file.values()
    }


PLAN = plan_of(FILES)
WEIGHTS = "model.safetensors"
QUIET: dict[str, Any] = {"report": lambda report: None, "cancelled": threading.Event()}


def test_killed_at_any_step_of_a_fetch(tmp_path: Path, small_pieces: int) -> None:
    step, outcomes = 0, set()
    while True:
        root = tmp_path / str(step)
        if not dies_at(step, lambda root=root: fetch(Store(root), PLAN, Bytes(FILES), workers=1)):
            break
        store = Store(root)
        seen = whole_models(store)
        verified = verified_pieces(store)
        source = Bytes(FILES)
        fetch(store, PLAN, source, workers=1)
        assert whole_models(store) == {"tiny": FILES}
        assert not verified & set(source.asked)
        assert not any(store.layout.partials.iterdir())
        outcomes.add((bool(seen), len(verified)))
        step += 1
    assert step > 30
    # It died before the first piece, after each piece, and after publication.
    assert {(False, 0), (False, 3), (False, 5), (True, 0)} <= outcomes


def test_killed_at_any_step_of_a_deletion(tmp_path: Path) -> None:
    step, gone = 0, set()
    while True:
        root = tmp_path / str(step)
        fetch(Store(root), PLAN, Bytes(FILES))
        if not dies_at(step, lambda root=root: Store(root).delete("tiny")):
            break
        seen = whole_models(Store(root))
        assert seen in ({}, {"tiny": FILES})
        gone.add(not seen)
        store = Store(root)
        store.prepare()
        if not seen:
            assert content(root).keys() <= {".gswarm/lock"}
        fetch(store, PLAN, Bytes(FILES))
        assert whole_models(store) == {"tiny": FILES}
        step += 1
    assert gone == {True, False}


def test_killed_at_any_step_of_what_ends_a_repair(tmp_path: Path) -> None:
    states = set()
    for step in range(12, 30):  # before, it is verified; afterwards the trash is emptied
        store = Store(tmp_path / str(step))
        damaged(store)
        whole = store.open_partial(PLAN)
        index = [file.path for file in PLAN.files].index(WEIGHTS)
        with whole.piece_writer(index, 0) as writer:
            writer.write(FILES[WEIGHTS])
            writer.commit()
        assert dies_at(step, lambda whole=whole: finish(whole, **QUIET))
        whole.close()
        whole_models(store)  # what is called whole is
        states |= {copy["state"] for copy in store.copies("disk")} - {"partial"} or {"away"}
        source = Bytes(FILES)
        fetch(Store(store.root), PLAN, source)
        assert whole_models(store) == {"tiny": FILES}
        assert {path for path, _ in source.asked} <= {WEIGHTS}
        assert content(store.layout.own).keys() == {"lock", "manifests/tiny/r1.json"}
    assert states == {"damaged", "ready", "away"}


def test_a_repair_that_is_refused_keeps_the_copy(store: Store) -> None:
    good = damaged(store)
    write_folder(store.root / "tiny", {"notes.txt": b"mine"})
    with pytest.raises(HelperError) as error:
        fetch(store, PLAN, Bytes(FILES))
    assert error.value.kind == Kind.EXISTS
    assert content(store.record("tiny").folder(store.layout)) == good
    assert [copy["state"] for copy in store.copies("disk")] == ["damaged", "partial"]
    (store.root / "tiny" / "notes.txt").unlink()
    again = Bytes(FILES)
    fetch(store, PLAN, again)
    assert again.asked == []
    assert whole_models(store) == {"tiny": FILES}


@pytest.mark.parametrize("step", ["rename", "replace", "mkdir", "fsync"])
def test_a_repair_that_fails_keeps_the_good_files(
    store: Store, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    damaged(store)
    publish = store.publish

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def publish_badly(*args: Any) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(os, step, refuse)
            return publish(*args)

    monkeypatch.setattr(store, "publish", publish_badly)
    with contextlib.suppress(HelperError):
        fetch(store, PLAN, Bytes(FILES))
    monkeypatch.undo()
    again = Bytes(FILES)
    fetch(Store(store.root), PLAN, again)
    assert {path for path, _ in again.asked} <= {WEIGHTS}
    assert whole_models(store) == {"tiny": FILES}


def test_somebody_elses_folder_is_not_taken_for_a_broken_copy(store: Store, tmp_path: Path) -> None:
    own = write_folder(tmp_path / "own", FILES)
    adopt.adopt(store, adopt.Found(own, "tiny", "r1"), adopt.IN_PLACE, **QUIET)
    (own / WEIGHTS).write_bytes(b"changed")
    theirs = write_folder(store.root / "tiny" / "r1", {"precious": b"x"})
    with pytest.raises(HelperError) as error:
        fetch(store, PLAN, Bytes(FILES))
    assert error.value.kind == Kind.EXISTS
    assert content(theirs) == {"precious": b"x"}


def damaged(store: Store) -> dict[str, bytes]:
    """Publish a copy with a bad file, which was found; returns what it has."""
    folder = store.layout.folder("tiny", "r1")
    fetch(store, PLAN, Bytes(FILES))
    (folder / WEIGHTS).chmod(0o644)
    (folder / WEIGHTS).write_bytes(bytes(len(FILES[WEIGHTS])))
    store.note_reading(store.record("tiny"), [WEIGHTS])
    return content(folder)


@pytest.mark.parametrize("step", ["rename", "replace", "mkdir"])
def test_publication_that_the_system_refuses_can_be_tried_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    publish = store.publish

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(5, "Input/output error")

    def publish_badly(*args: Any) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(os, step, refuse)
            return publish(*args)

    monkeypatch.setattr(store, "publish", publish_badly)
    with pytest.raises(HelperError) as error:
        fetch(store, PLAN, Bytes(FILES))
    assert error.value.kind == Kind.INTERNAL
    assert whole_models(store) == {}
    monkeypatch.undo()
    again = Bytes(FILES)
    fetch(store, PLAN, again)
    assert again.asked == []
    assert whole_models(store) == {"tiny": FILES}


def test_model_is_published_with_nothing_beside_it(store: Store) -> None:
    manifest = fetch(store, PLAN, Bytes(FILES))
    folder = store.root / "tiny" / "r1"
    assert content(folder) == FILES
    assert manifest == store.manifest("tiny")
    assert store.layout.record("tiny", "r1").is_file()
    assert not any(store.layout.partials.iterdir())
    assert {path.stat().st_mode & 0o222 for path in folder.rglob("*") if path.is_file()} == {0}


def test_recovery_cleans_what_nobody_holds(store: Store) -> None:
    fetch(store, PLAN, Bytes(FILES))
    write_folder(store.layout.trash / "old", {"a": b"x"})
    orphan = store.layout.record("tiny", "gone")
    orphan.write_bytes(store.layout.record("tiny", "r1").read_bytes().replace(b'"r1"', b'"gone"'))
    (store.layout.partials / "finished").mkdir()
    waiting = store.open_partial(plan_of({"other": b"x"}, name="other"))
    done = publication.recover(store.layout)
    assert len(done) == 3
    assert publication.recover(store.layout) == []
    assert not orphan.exists()
    assert not any(store.layout.trash.iterdir())
    assert waiting.folder.is_dir()
    waiting.discard()
    assert whole_models(store) == {"tiny": FILES}


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.EBADF])
def test_without_locks_nothing_is_cleaned_and_it_is_said_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(flocks.fcntl, "flock", unsupported)
    monkeypatch.setattr(flocks, "_said", set())
    fetch(store, PLAN, Bytes(FILES))
    orphan = store.layout.record("tiny", "gone")
    orphan.write_bytes(store.layout.record("tiny", "r1").read_bytes().replace(b'"r1"', b'"gone"'))
    publication.recover(store.layout)
    assert orphan.exists()
    assert whole_models(store) == {"tiny": FILES}
    said = [record for record in caplog.records if "no locks" in record.message]
    assert [record.levelname for record in said] == ["WARNING"]
