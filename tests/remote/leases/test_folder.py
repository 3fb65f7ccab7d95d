"""The folder of all users' leases, and what is believed of what lies in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from gswarm_remote import process
from gswarm_remote.errors import HelperError
from gswarm_remote.leases import folder


@pytest.fixture
def lease_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GSWARM_LEASE_DIR", str(tmp_path / "leases"))
    return folder.folder()


def test_a_record_of_a_process_that_is_gone_is_not_believed(lease_folder: Path) -> None:
    lock = folder.try_hold(lease_folder / "gpu-GPU-0.engine")
    assert lock is not None
    gone = process.ProcessRecord(2**22 - 1, 1.0, process.boot_id())
    lock.sign({"who": {"engine": "vllm", "model": "m"}}, gone)
    assert folder.holders(lock.path) == []
    assert folder.holder(lock.path) == f"process {os.getpid()} of {folder.user_name(os.getuid())}"
    assert list(lease_folder.glob("*.who")) == []
    lock.release()


def test_what_others_say_of_themselves_does_not_steer_a_terminal(lease_folder: Path) -> None:
    lock = folder.try_hold(lease_folder / "gpu-GPU-0.engine")
    assert lock is not None
    lock.sign({"who": {"job": "1\x1b[2J", "user": "a\nb", "host": "h" * 999, "does": "\x1b]0;x"}})
    words = folder.holder(lock.path)
    assert words.isprintable()
    assert len(words) < 300
    lock.release()


def test_a_record_of_another_users_process_is_not_believed(lease_folder: Path) -> None:
    lock = folder.try_hold(lease_folder / "model-1.lock")
    assert lock is not None
    lock.sign({"task": "t", "who": {"job": 1}})
    record = next(lease_folder.glob("*.who"))
    assert [holder.task for holder in folder.holders(lock.path)] == ["t"]
    if os.getuid() == 0:
        os.chown(record, 65534, 65534)  # as if they had written it about our process
        assert folder.holders(lock.path) == []
    lock.release()


_DAMAGED = (
    *("", "[]", "{", '{"process": 1}', '{"process": {"pid": "x"}}', "[" * 4000),
    '{"process": {"pid": 1e999, "start_time": 1, "boot_id": "x"}}',
    f'{{"process": {{"pid": 1, "start_time": {"9" * 400}, "boot_id": "x"}}}}',
)


@pytest.mark.parametrize("content", _DAMAGED)
def test_a_damaged_record_is_passed_over(lease_folder: Path, content: str) -> None:
    lock = folder.try_hold(lease_folder / "model-1.lock")
    assert lock is not None
    (lease_folder / "model-1.lock.1-1.who").write_text(content)
    assert folder.holders(lock.path) == []
    lock.release()


def test_readers_share_and_the_last_one_removes_the_file(lease_folder: Path) -> None:
    path = lease_folder / "model-1.lock"
    first, second = folder.try_hold(path, shared=True), folder.try_hold(path, shared=True)
    assert first is not None
    assert second is not None
    assert folder.try_hold(path) is None
    first.release()
    assert path.exists()
    second.release()
    assert not path.exists()


def test_a_fifo_in_place_of_a_lock_holds_nobody_up(lease_folder: Path) -> None:
    os.mkfifo(lease_folder / "model-1.lock")
    with pytest.raises(HelperError):
        folder.try_hold(lease_folder / "model-1.lock")


def test_a_folder_with_another_mode_is_refused(lease_folder: Path) -> None:
    lease_folder.chmod(0o755)
    with pytest.raises(HelperError):
        folder.folder()
