from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models.manifest import Plan, PlanFile
from gswarm_remote.models.store import Store
from gswarm_remote.transfer import crew as crew_module
from gswarm_remote.transfer.assemble import assemble, finish
from gswarm_remote.transfer.crew import Crew
from gswarm_remote.transfer.progress import Meter, Reporter

from ..models.conftest import Bytes, content, fetch, plan_of, whole_models

BIG = os.urandom(5500)
FILES = {"a": b"first", "b/big": BIG, "c": b"last"}
PLAN = plan_of(FILES)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gswarm_remote.models.piece.PIECE", 1000)


def git_blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def failing(path: str, offset: int, error: Exception) -> Callable[[PlanFile, int], None]:
    def fail(file: PlanFile, at: int) -> None:
        if (file.path, at) == (path, offset):
            raise error

    return fail


def test_every_missing_piece_is_asked_once(store: Store) -> None:
    source = Bytes(FILES)
    manifest = fetch(store, PLAN, source)
    expected = [("a", 0), ("c", 0), *(("b/big", offset) for offset in range(0, 5500, 1000))]
    assert sorted(source.asked) == sorted(expected)
    assert whole_models(store) == {"tiny": FILES}
    assert {entry.path: entry.sha256 for entry in manifest.files} == {
        path: hashlib.sha256(data).hexdigest() for path, data in FILES.items()
    }


def test_files_of_which_only_the_git_blob_id_is_known(store: Store) -> None:
    files = tuple(PlanFile(path, git_sha1=git_blob_id(data)) for path, data in FILES.items())
    manifest = fetch(store, Plan("tiny", "c0ffee", "hf://x", files), Bytes(FILES))
    assert manifest.hash == fetch(store, plan_of(FILES, name="other"), Bytes(FILES)).hash


def test_error_of_the_source_ends_the_run_and_keeps_what_is_here(store: Store) -> None:
    error = HelperError(Kind.SOURCE, "the source answered 503")
    source = Bytes(FILES, before=failing("b/big", 3000, error))
    with pytest.raises(HelperError) as raised:
        fetch(store, PLAN, source, workers=1)
    assert raised.value is error
    assert source.aborted == 1
    assert whole_models(store) == {}
    again = Bytes(FILES)
    fetch(store, PLAN, again)
    assert sorted(again.asked) == [("b/big", offset) for offset in (3000, 4000, 5000)] + [("c", 0)]


def test_truncated_body_is_incomplete(store: Store) -> None:
    with pytest.raises(HelperError) as error:
        fetch(store, PLAN, Bytes({**FILES, "b/big": BIG[:4700]}), workers=1)
    assert error.value.kind == Kind.INCOMPLETE
    assert error.value.where == "b/big"
    assert "700 of 1000" in error.value.message


@pytest.mark.parametrize("promise", ["sha256", "git_sha1"])
def test_wrong_bytes_are_named_and_that_file_alone_is_fetched_again(
    store: Store, promise: str
) -> None:
    digest = {"sha256": hashlib.sha256(BIG).hexdigest(), "git_sha1": git_blob_id(BIG)}[promise]
    files = (PlanFile("a", 5), PlanFile("b/big", 5500, **{promise: digest}))
    plan = Plan("tiny", "c0ffee", "hf://x", (PlanFile("a", 5, etag="v1"), *files[1:]))
    wrong = bytes(5500)
    with pytest.raises(HelperError) as error:
        fetch(store, plan, Bytes({**FILES, "b/big": wrong}), workers=1)
    assert error.value.kind == Kind.MISMATCH
    came = hashlib.sha256(wrong).hexdigest() if promise == "sha256" else git_blob_id(wrong)
    for word in ("b/big", digest, came):
        assert word in error.value.message
    again = Bytes(FILES)
    fetch(store, plan, again)
    assert {path for path, _ in again.asked} == {"b/big"}
    assert content(store.root / "tiny/c0ffee") == {"a": b"first", "b/big": BIG}


def test_rotten_piece_of_an_earlier_run_is_fetched_again_in_this_one(store: Store) -> None:
    _stop_before(store, PLAN, "c")
    with store.open_partial(PLAN) as partial:
        with partial.path(1).open("r+b") as file:
            file.seek(2100)
            file.write(b"rot")
        reports: list[dict[str, Any]] = []
        source = Bytes(FILES)
        assemble(partial, source, report=reports.append, cancelled=threading.Event())
    assert sorted(source.asked) == [("b/big", 2000), ("c", 0)]
    assert whole_models(store) == {"tiny": FILES}


def test_rot_is_found_where_the_source_promises_no_digest(store: Store) -> None:
    files = tuple(PlanFile(path, len(data), etag="v1") for path, data in FILES.items())
    plan = Plan("tiny", None, "https://x", files)
    _stop_before(store, plan, "c")
    with store.open_partial(plan) as partial, partial.path(1).open("r+b") as file:
        file.write(b"rot")
    source = Bytes(FILES)
    fetch(store, plan, source)
    assert sorted(source.asked) == [("b/big", 0), ("c", 0)]
    assert whole_models(store) == {"tiny": FILES}


def _stop_before(store: Store, plan: Plan, path: str) -> None:
    stop = failing(path, 0, HelperError(Kind.UNREACHABLE, "cut"))
    with pytest.raises(HelperError):
        fetch(store, plan, Bytes(FILES, before=stop), workers=1)


def test_cancelling_wakes_a_fetch_that_blocks(store: Store) -> None:
    class Stuck(Bytes):
        woken = threading.Event()

        def fetch(self, *args: Any) -> None:
            cancelled.set()
            assert self.woken.wait(30)
            raise HelperError(Kind.UNREACHABLE, "the connection was shut")

        def abort(self) -> None:
            self.woken.set()

    cancelled = threading.Event()
    with pytest.raises(HelperError) as error:
        fetch(store, PLAN, Stuck(FILES), cancelled=cancelled)
    assert error.value.kind == Kind.CANCELLED


def test_cancelled_run_keeps_its_pieces(store: Store) -> None:
    cancelled = threading.Event()

    def cancel(file: PlanFile, offset: int) -> None:
        if offset == 2000:
            cancelled.set()

    with pytest.raises(HelperError) as error:
        fetch(store, PLAN, Bytes(FILES, before=cancel), cancelled=cancelled, workers=1)
    assert error.value.kind == Kind.CANCELLED
    with store.open_partial(PLAN) as partial:
        assert partial.done == 5 + 2000


def test_run_that_is_cancelled_already_asks_for_nothing(store: Store) -> None:
    cancelled = threading.Event()
    cancelled.set()
    source = Bytes(FILES)
    with pytest.raises(HelperError):
        fetch(store, PLAN, source, cancelled=cancelled)
    assert source.asked == []


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, Kind.NO_SPACE),
        (errno.EDQUOT, Kind.NO_SPACE),
        (errno.EROFS, Kind.PERMISSION),
        (errno.EIO, Kind.INTERNAL),
    ],
)
def test_what_the_system_refuses_is_explained(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int, kind: str
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("gswarm_remote.models.piece._sync_data", refuse)
    with pytest.raises(HelperError) as error:
        fetch(store, PLAN, Bytes(FILES))
    assert error.value.kind == kind


def test_bug_in_a_source_is_not_hidden(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        fetch(store, PLAN, Bytes(FILES, before=failing("a", 0, ZeroDivisionError())))


def test_finish_publishes_what_arrived_by_another_way(store: Store) -> None:
    with store.open_partial(PLAN) as partial:
        for index, offset, length in partial.missing():
            data = FILES[PLAN.files[index].path]
            with partial.piece_writer(index, offset) as writer:
                writer.write(data[offset : offset + (length or 0)])
                writer.commit()
        finish(partial, report=lambda report: None, cancelled=threading.Event())
    assert whole_models(store) == {"tiny": FILES}


def test_finish_with_pieces_missing_is_incomplete(store: Store) -> None:
    with store.open_partial(PLAN) as partial, pytest.raises(HelperError) as error:
        finish(partial, report=lambda report: None, cancelled=threading.Event())
    assert error.value.kind == Kind.INCOMPLETE
    assert whole_models(store) == {}


def test_progress_counts_from_what_was_here_to_the_total(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew_module, "TICK_S", 0.001)
    _stop_before(store, PLAN, "c")
    reports: list[dict[str, Any]] = []
    fetch(store, PLAN, Bytes(FILES), reports=reports, phase="copy")
    assert {report["phase"] for report in reports} <= {"copy", "verify"}
    assert {report["total"] for report in reports} == {PLAN.size}
    assert reports[-1]["phase"] == "verify"
    assert reports[-1]["done"] == PLAN.size
    copied = [report["done"] for report in reports if report["phase"] == "copy"]
    assert copied == sorted(copied)
    assert all(done >= 5505 for done in copied)


def test_meter_says_the_rate_of_the_last_seconds() -> None:
    now = [0.0]
    meter = Meter("download", done=1000, total=5000, clock=lambda: now[0])
    assert meter.report() == {
        "phase": "download",
        "done": 1000,
        "total": 5000,
        "rate": None,
        "limited_by": None,
    }
    for _ in range(4):
        now[0] += 1
        meter.add(100)
        assert meter.report()["rate"] == 100
    for _ in range(20):
        now[0] += 1
        stalled = meter.report()
    assert stalled["rate"] == 0
    assert stalled["done"] == 1400


def test_reporter_repeats_itself_once_a_second() -> None:
    now = [0.0]
    reports: list[dict[str, Any]] = []
    meter = Meter("download", clock=lambda: now[0])
    reporter = Reporter(reports.append, clock=lambda: now[0])
    for _ in range(30):
        now[0] += 0.1
        reporter.tell(meter)
    assert len(reports) == 3
    meter.add(1)
    reporter.tell(meter)
    assert len(reports) == 4


def test_crew_does_jobs_that_jobs_add_and_stops_at_the_first_error() -> None:
    done: list[int] = []
    crew = Crew({"work": 2}, cancelled=threading.Event(), tick=lambda: None)

    def job(number: int) -> None:
        done.append(number)
        if number:
            crew.add("work", lambda: job(number - 1))

    crew.add("work", lambda: job(50))
    crew.run()
    assert done == list(range(50, -1, -1))

    failing_crew = Crew({"work": 1}, cancelled=threading.Event(), tick=lambda: None)
    failing_crew.add("work", lambda: [][0])
    failing_crew.add("work", lambda: done.append(-1))
    with pytest.raises(IndexError):
        failing_crew.run()
    assert -1 not in done
    assert failing_crew.stopped_event.is_set()


def test_crew_stops_when_its_reports_cannot_be_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "TICK_S", 0.001)
    woken = threading.Event()

    def gone() -> None:
        raise RuntimeError("Event loop is closed")

    crew = Crew({"work": 1}, cancelled=threading.Event(), tick=gone, on_stop=woken.set)
    crew.add("work", lambda: woken.wait(30))
    with pytest.raises(RuntimeError, match="closed"):
        crew.run()
