from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models.manifest import Plan, PlanFile
from gswarm_remote.models.partial import Partial
from gswarm_remote.models.store import Store

from .conftest import SMALL_PIECE, plan_of

DATA = os.urandom(2500)
PLAN = plan_of({"weights": DATA, "empty": b""})


def put(partial: Partial, index: int, offset: int, data: bytes) -> bool:
    with partial.piece_writer(index, offset) as writer:
        writer.write(data[:5])
        writer.write(data[5:])
        return writer.commit()


def test_pieces_go_from_missing_to_done_in_any_order(store: Store, small_pieces: int) -> None:
    with store.open_partial(PLAN) as partial:
        assert partial.missing() == [(0, 0, 1000), (0, 1000, 1000), (0, 2000, 500)]
        assert (partial.done, partial.total, partial.remaining) == (0, 2500, 2500)
        assert not put(partial, 0, 2000, DATA[2000:])
        assert not put(partial, 0, 0, DATA[:1000])
        assert partial.missing() == [(0, 1000, 1000)]
        assert partial.done == 1500
        assert put(partial, 0, 1000, DATA[1000:2000])
        assert partial.path(0).read_bytes() == DATA
        assert partial.path(1).read_bytes() == b""
        assert partial.is_complete(0)
        assert partial.is_complete(1)


def test_next_run_has_the_verified_pieces_and_no_others(store: Store, small_pieces: int) -> None:
    with store.open_partial(PLAN) as partial:
        put(partial, 0, 1000, DATA[1000:2000])
        with partial.piece_writer(0, 0) as writer:
            writer.write(DATA[:999])
    with store.open_partial(PLAN) as partial:
        assert partial.missing() == [(0, 0, 1000), (0, 2000, 500)]
        assert partial.done == 1000
        assert partial.rotten(0) == []


def test_piece_of_the_wrong_length_is_refused(store: Store, small_pieces: int) -> None:
    with store.open_partial(PLAN) as partial:
        with partial.piece_writer(0, 2000) as writer:
            writer.write(b"x" * 499)
            with pytest.raises(HelperError) as short:
                writer.commit()
        assert short.value.kind == Kind.INCOMPLETE
        with partial.piece_writer(0, 2000) as writer, pytest.raises(HelperError) as long:
            writer.write(b"x" * 501)
        assert long.value.kind == Kind.MISMATCH
        assert partial.done == 0


@pytest.mark.parametrize("offset", [-1000, 1, 3000])
def test_there_is_no_piece_but_the_missing(store: Store, small_pieces: int, offset: int) -> None:
    with store.open_partial(PLAN) as partial, pytest.raises(HelperError):
        partial.piece_writer(0, offset)


def test_piece_that_is_here_is_not_written_again(store: Store, small_pieces: int) -> None:
    with store.open_partial(PLAN) as partial:
        put(partial, 0, 0, DATA[:1000])
        with pytest.raises(HelperError):
            partial.piece_writer(0, 0)


def test_rotten_piece_is_found_and_dropped_alone(store: Store, small_pieces: int) -> None:
    with store.open_partial(PLAN) as partial:
        for _, offset, length in partial.missing():
            assert length is not None
            put(partial, 0, offset, DATA[offset : offset + length])
        with partial.path(0).open("r+b") as file:
            file.seek(1500)
            file.write(b"rot")
        assert partial.rotten(0) == [1000]
        partial.drop(0, 1000)
        assert partial.missing() == [(0, 1000, 1000)]
    with store.open_partial(PLAN) as partial:
        assert partial.missing() == [(0, 1000, 1000)]


def test_file_that_was_truncated_lost_its_pieces(store: Store, small_pieces: int) -> None:
    with store.open_partial(PLAN) as partial:
        put(partial, 0, 0, DATA[:1000])
        put(partial, 0, 2000, DATA[2000:])
        os.truncate(partial.path(0), 1000)
    with store.open_partial(PLAN) as partial:
        assert partial.missing() == [(0, 1000, 1000), (0, 2000, 500)]
    with store.open_partial(PLAN) as partial:  # once the file is long again the lost stay lost
        os.truncate(partial.path(0), 2500)
    with store.open_partial(PLAN) as partial:
        assert partial.missing() == [(0, 1000, 1000), (0, 2000, 500)]


@pytest.mark.parametrize(
    ("promise", "kept"),
    [
        ({}, False),
        ({"etag": '"v1"'}, True),
        ({"sha256": "a" * 64}, True),
        ({"git_sha1": "a" * 40}, True),
    ],
)
def test_only_promised_bytes_are_reused(
    store: Store, small_pieces: int, promise: dict[str, str], kept: bool
) -> None:
    plan = Plan("tiny", None, "https://x", (PlanFile("weights", 2500, **promise),))
    with store.open_partial(plan) as partial:
        put(partial, 0, 0, DATA[:1000])
    with store.open_partial(plan) as partial:
        assert partial.done == (1000 if kept else 0)
        assert partial.path(0).exists() is kept


def test_plan_with_other_content_starts_from_nothing(store: Store, small_pieces: int) -> None:
    other = bytes(reversed(DATA))
    with store.open_partial(PLAN) as partial:
        put(partial, 0, 0, DATA[:1000])
    with store.open_partial(plan_of({"weights": other, "empty": b""})) as partial:
        assert partial.done == 0


def test_file_of_unknown_size_is_one_piece(store: Store, small_pieces: int) -> None:
    plan = Plan("tiny", None, "https://x", (PlanFile("weights", etag="v1"),))
    with store.open_partial(plan) as partial:
        assert partial.missing() == [(0, 0, None)]
        assert partial.total is None
        with partial.piece_writer(0, 0) as writer:
            writer.write(DATA + DATA)
    with store.open_partial(plan) as partial:
        assert put(partial, 0, 0, DATA)
        assert partial.missing() == []
        assert partial.path(0).stat().st_size == 2500


def test_many_threads_write_different_pieces(store: Store, small_pieces: int) -> None:
    data = os.urandom(SMALL_PIECE * 16)
    with store.open_partial(plan_of({"weights": data})) as partial:
        finished = []

        def write(offset: int) -> None:
            if put(partial, 0, offset, data[offset : offset + SMALL_PIECE]):
                finished.append(offset)

        threads = [
            threading.Thread(target=write, args=(offset,))
            for offset in range(0, len(data), SMALL_PIECE)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(finished) == 1
        assert partial.path(0).read_bytes() == data
        assert partial.rotten(0) == []


def test_leftover_link_to_another_model_is_never_written_to(
    store: Store, small_pieces: int, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"p" * 2500)
    with store.open_partial(PLAN) as partial:
        put(partial, 0, 0, DATA[:1000])
        partial.path(0).unlink()
        os.link(precious, partial.path(0))
    with store.open_partial(PLAN) as partial:
        assert partial.done == 0
        put(partial, 0, 0, DATA[:1000])
    assert precious.read_bytes() == b"p" * 2500


def test_path_that_leads_out_through_a_planted_link_is_refused(
    store: Store, small_pieces: int, tmp_path: Path
) -> None:
    plan = plan_of({"sub/weights": DATA})
    with store.open_partial(plan) as partial:
        (partial.files / "sub").symlink_to(tmp_path)
    with pytest.raises(HelperError) as error:
        store.open_partial(plan)
    assert error.value.kind == Kind.INVALID
    assert not (tmp_path / "weights").exists()


def test_urls_are_not_written_down(store: Store) -> None:
    plan = Plan("tiny", None, "s", (PlanFile("a", 3, url="https://h/a?token=secret"),))
    with store.open_partial(plan) as partial:
        assert b"secret" not in (partial.folder / "plan.json").read_bytes()


def test_two_writers_of_one_plan_take_turns(store: Store) -> None:
    cancelled = threading.Event()
    with store.open_partial(PLAN):
        with pytest.raises(HelperError) as error:
            Store(store.root).open_partial(PLAN)
        assert error.value.kind == Kind.IN_USE
        assert str(os.getpid()) in error.value.message
        cancelled.set()
        with pytest.raises(HelperError) as ended:
            Store(store.root).open_partial(PLAN, cancelled=cancelled)
        assert ended.value.kind == Kind.CANCELLED
    Store(store.root).open_partial(PLAN).close()
