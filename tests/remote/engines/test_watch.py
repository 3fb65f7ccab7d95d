"""An engine is not waited for when its log says that there is nothing to wait for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote import process
from gswarm_remote.engines import watch as module
from gswarm_remote.engines.base import Endpoint, Ready
from gswarm_remote.engines.replica import Replica
from gswarm_remote.engines.watch import Watch
from gswarm_remote.errors import HelperError, Kind


class Alive(process.ProcessRecord):
    def alive(self) -> bool:
        return True


def replica(log: Path, ready: Ready) -> Replica:
    return Replica(
        id="m-dram-1",
        model="m",
        revision="r",
        tier="dram",
        path="/models/m/r",
        devices=("dram",),
        engine="mlx",
        config={},
        fingerprint="f",
        endpoint=Endpoint(port=1),
        served_name="default_model",
        ready=ready,
        paths=(),
        refused=(),
        started_by="serve",
        started_at=0.0,
        timeout_s=600.0,
        log=str(log),
        process=Alive(pid=os.getpid(), start_time=0, boot_id="b"),
    )


@pytest.fixture(autouse=True)
def at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REPORT_S", 0.0)


def test_an_engine_that_gave_up_is_not_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("loading\n")
    told: list[dict[str, Any]] = []
    watch = Watch(replica(log, Ready(given_up="the thread died")), told.append)
    watch()
    assert told[-1]["message"].startswith("mlx is loading m")
    log.write_text('loading\nERROR: the thread died: no weights\n"GET /health HTTP/1.1" 503\n')
    with pytest.raises(HelperError, match="it gave up before it was ready") as caught:
        watch()
    assert caught.value.kind == Kind.ENGINE_FAILED


def test_what_another_engine_logs_means_nothing(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("the thread died\n")
    Watch(replica(log, Ready()), lambda report: None)()
