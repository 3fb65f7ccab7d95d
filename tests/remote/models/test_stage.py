from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models.adopt import IN_PLACE, Found, adopt
from gswarm_remote.models.manifest import Manifest
from gswarm_remote.models.stage import stage
from gswarm_remote.models.store import Store

from .conftest import FILES, Bytes, content, fetch, plan_of, whole_models, write_folder


@pytest.fixture
def disk(store: Store) -> Store:
    fetch(store, plan_of(FILES), Bytes(FILES))
    return store


@pytest.fixture
def dram(tmp_path: Path) -> Store:
    return Store(tmp_path / "dram")


def staged(source: Store, target: Store, *, remove: bool = False, **reports: Any) -> Manifest:
    return stage(
        source,
        target,
        "tiny",
        None,
        remove_source=remove,
        report=reports.get("report", lambda report: None),
        cancelled=threading.Event(),
    )


def test_staging_copies_and_keeps_the_source(disk: Store, dram: Store) -> None:
    manifest = staged(disk, dram)
    assert manifest.hash == disk.manifest("tiny").hash
    assert whole_models(dram) == whole_models(disk) == {"tiny": FILES}
    assert not (dram.root / "tiny/r1/config.json").samefile(disk.root / "tiny/r1/config.json")


def test_staging_again_does_nothing(disk: Store, dram: Store) -> None:
    first = staged(disk, dram)
    reports: list[Any] = []
    assert staged(disk, dram, report=reports.append) == first
    assert reports == []


def test_move_leaves_it_in_one_place_and_can_be_asked_again(disk: Store, dram: Store) -> None:
    manifest = staged(disk, dram, remove=True)
    assert (whole_models(disk), whole_models(dram)) == ({}, {"tiny": FILES})
    assert staged(disk, dram, remove=True) == manifest
    with pytest.raises(HelperError) as error:
        staged(disk, dram)
    assert error.value.kind == Kind.NOT_FOUND


@pytest.mark.parametrize("remove", [True, False])
def test_bad_source_is_not_staged_and_not_removed(disk: Store, dram: Store, remove: bool) -> None:
    path = disk.root / "tiny/r1/model.safetensors"
    path.chmod(0o644)
    path.write_bytes(bytes(len(FILES["model.safetensors"])))
    with pytest.raises(HelperError) as error:
        staged(disk, dram, remove=remove)
    assert error.value.kind == Kind.MISMATCH
    assert dram.copies("dram")[0]["state"] == "partial"
    assert content(disk.root / "tiny/r1").keys() == FILES.keys()


def test_move_onto_a_bad_copy_keeps_the_source(disk: Store, dram: Store) -> None:
    staged(disk, dram)
    path = dram.root / "tiny/r1/model.safetensors"
    path.chmod(0o644)
    path.write_bytes(bytes(len(FILES["model.safetensors"])))
    with pytest.raises(HelperError) as error:
        staged(disk, dram, remove=True)
    assert error.value.kind == Kind.MISMATCH
    assert whole_models(disk) == {"tiny": FILES}


def test_quota_of_dram_is_asked_first(disk: Store, dram: Store) -> None:
    dram.quota = 1000
    with pytest.raises(HelperError) as error:
        staged(disk, dram, remove=True)
    assert error.value.kind == Kind.NO_SPACE
    assert dram.copies("dram") == []
    assert whole_models(disk) == {"tiny": FILES}


def test_moving_a_model_in_place_leaves_its_folder(store: Store, dram: Store) -> None:
    mine = write_folder(store.root.parent / "mine", FILES)
    adopt(
        store,
        Found(mine, "tiny"),
        IN_PLACE,
        report=lambda report: None,
        cancelled=threading.Event(),
    )
    staged(store, dram, remove=True)
    assert store.copies("disk") == []
    assert content(mine) == FILES
    assert whole_models(dram) == {"tiny": FILES}
    assert dram.manifest("tiny").location is None
