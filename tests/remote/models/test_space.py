from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models import space
from gswarm_remote.models.manifest import Plan, PlanFile
from gswarm_remote.models.store import Store

from .conftest import FILES, Bytes, fetch, plan_of, whole_models

MB = 10**6


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 8 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small filesystem needs the right to mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def refused(store: Store, size: int, name: str = "big") -> HelperError:
    files = {"weights": b"\0" * size}
    with pytest.raises(HelperError) as error, store.open_partial(plan_of(files, name=name)):
        pass
    assert error.value.kind == Kind.NO_SPACE
    return error.value


def test_what_does_not_fit_is_refused_before_the_first_byte(small_disk: Path) -> None:
    store = Store(small_disk / "models")
    error = refused(store, 9 * MB)
    assert "needs 9.0 MB" in error.message
    assert "8.4 MB are free" in error.message
    assert error.where == str(store.root)
    assert store.copies("disk") == []


def test_disk_that_fills_up_meanwhile_keeps_what_is_verified(small_disk: Path) -> None:
    store = Store(small_disk / "models")
    files = {f"part{number}": os.urandom(1 * MB) for number in range(6)}
    plan = plan_of(files)
    hog = small_disk / "hog"
    source = Bytes(files, before=lambda file, offset: _fill(hog, file.path == "part3"))
    with pytest.raises(HelperError) as error:
        fetch(store, plan, source, workers=1)
    assert error.value.kind == Kind.NO_SPACE
    assert "tiny needs 3.0 MB more" in error.value.message
    assert "3.0 MB that are here are kept" in str(error.value.hint)
    assert whole_models(store) == {}
    hog.unlink()
    again = Bytes(files)
    fetch(store, plan, again)
    assert sorted(path for path, _ in again.asked) == ["part3", "part4", "part5"]
    assert whole_models(store) == {"tiny": files}


def _fill(hog: Path, now: bool) -> None:
    if now:
        with contextlib.suppress(OSError), hog.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)


def test_two_that_only_fit_alone_are_not_both_begun(small_disk: Path) -> None:
    store = Store(small_disk / "models")
    first = plan_of({"weights": b"\0" * 5 * MB}, name="first")
    with store.open_partial(first):
        error = refused(Store(store.root), 5 * MB)
        assert "5.0 MB of it for transfers under way" in error.message
    store.open_partial(plan_of({"weights": b"\1" * 5 * MB}, name="second")).close()


def test_quota_counts_models_and_what_is_in_flight(store: Store) -> None:
    store.quota = 10_000
    fetch(store, plan_of(FILES), Bytes(FILES))
    error = refused(store, 8_000)
    assert "of the quota of 10.0 kB 7.4 kB are left" in error.message
    with store.open_partial(plan_of({"weights": b"\0" * 4_000}, name="other")):
        refused(store, 4_000)
    files = {"same": FILES["model.safetensors"], "more": b"\0" * 7_000}
    fetch(store, plan_of(files, name="linked"), Bytes(files))  # the linked file costs nothing
    assert store.used() <= 10_000


def unknown(name: str = "endless", **known: int) -> Plan:
    """A plan of one file whose source does not say how large it is, and of some of known sizes."""
    files = [PlanFile(path, size) for path, size in known.items()]
    return Plan(name, None, "https://x", (PlanFile("weights"), *files))


def test_quota_holds_for_a_file_of_unknown_size(store: Store) -> None:
    store.quota = 100_000
    fetch(store, plan_of({"weights": b"\0" * 20_000}), Bytes({"weights": b"\0" * 20_000}))
    with pytest.raises(HelperError) as error:
        fetch(store, unknown(), Bytes({"weights": os.urandom(81_000)}))
    assert error.value.kind == Kind.NO_SPACE
    assert "the quota is 100.0 kB" in error.value.message
    assert store.used() <= 20_480  # what came of it is not kept
    fetch(store, unknown(), Bytes({"weights": os.urandom(70_000)}))
    assert store.used() <= 100_000


def test_file_of_unknown_size_leaves_room_for_what_is_claimed(store: Store) -> None:
    store.quota = 100_000
    with store.open_partial(plan_of({"weights": b"\0" * 60_000}, name="claims")):
        with pytest.raises(HelperError, match="room that is left"):
            fetch(store, unknown(), Bytes({"weights": os.urandom(50_000)}))
        fetch(store, unknown(), Bytes({"weights": os.urandom(30_000)}))


def test_file_of_unknown_size_does_not_fill_the_disk(small_disk: Path) -> None:
    store = Store(small_disk / "models")
    with pytest.raises(HelperError, match=r"83\.9 kB of the disk are left alone") as error:
        fetch(store, unknown(), Bytes({"weights": os.urandom(9 * MB)}))
    assert error.value.kind == Kind.NO_SPACE


def test_bytes_of_unknown_files_do_not_make_the_known_ones_smaller(store: Store) -> None:
    with store.open_partial(unknown(config=4_000)) as partial:
        with partial.piece_writer(0, 0) as writer:
            writer.write(b"\0" * 3_000)
            writer.commit()
        assert partial.remaining == 4_000


def test_tmpfs_has_no_more_than_the_memory_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Path("/dev/shm")
    if not space._is_tmpfs(memory):
        pytest.skip("/dev/shm is no tmpfs here")
    assert not space._is_tmpfs(Path("/proc"))
    monkeypatch.setattr(space, "_available_memory", lambda: 12345)
    assert space.free_bytes(memory) == 12345


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (13_500_000_000, "13.5 GB"), (2 * 10**15, "2000.0 TB")],
)
def test_bytes_for_humans(count: int, text: str) -> None:
    assert space.human(count) == text
