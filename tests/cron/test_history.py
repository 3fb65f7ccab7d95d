"""How the last run of a cron job went."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from gswarm_tui.cron.history import forget, last, noted
from gswarm_tui.errors import LockedOutError, StateError


def test_a_run_is_noted_from_its_beginning(tmp_path: Path) -> None:
    assert last(tmp_path, "nightly") is None
    with noted(tmp_path, "nightly") as note:
        begun = last(tmp_path, "nightly")
        assert begun is not None
        assert (begun.is_running, begun.job, begun.finished_at) == (True, None, None)
        note.job(17)
        note.end(1, "failed: fetch: no room")
    run = last(tmp_path, "nightly")
    assert run is not None
    assert (run.job, run.exit_code, run.error) == (17, 1, "failed: fetch: no room")
    assert run.finished_at is not None
    assert not run.is_running
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (LockedOutError("another run", hint="wait"), 4, "another run"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("oh"), 1, "unexpected ZeroDivisionError: oh"),
    ],
)
def test_what_leaves_is_its_end(tmp_path: Path, error: BaseException, code: int, said: str) -> None:
    with pytest.raises(type(error)), noted(tmp_path, "nightly"):
        raise error
    run = last(tmp_path, "nightly")
    assert run is not None
    assert (run.exit_code, run.error) == (code, said)


def test_an_end_without_words_is_a_good_one(tmp_path: Path) -> None:
    with noted(tmp_path, "nightly"):
        pass
    run = last(tmp_path, "nightly")
    assert run is not None
    assert (run.exit_code, run.error) == (0, None)


def test_a_process_that_is_gone_does_not_run(tmp_path: Path) -> None:
    with noted(tmp_path, "nightly"):
        document = json.loads((tmp_path / "nightly.json").read_text())
        document["process"]["start_time"] -= 100  # another one has the number now
        (tmp_path / "nightly.json").write_text(json.dumps(document))
        run = last(tmp_path, "nightly")
        assert run is not None
        assert not run.is_running


@pytest.mark.parametrize("text", ["", "[]", '{"pid": 1}', "{"])
def test_a_file_that_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "nightly.json").write_text(text)
    assert last(tmp_path, "nightly") is None


def test_it_is_forgotten(tmp_path: Path) -> None:
    with noted(tmp_path, "nightly"):
        pass
    forget(tmp_path, "nightly")
    forget(tmp_path, "nightly")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be noted"), noted(tmp_path / "x", "nightly"):
        pass
