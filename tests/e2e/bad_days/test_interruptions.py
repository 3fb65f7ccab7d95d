"""Processes that are killed, connections that are cut, Ctrl-C: what is here stays, the rest ends.

The commands are processes, the nodes' helpers are real, and the hub is gswarm's own behind a tap,
which holds a download in its middle for as long as a test needs it there.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.models.piece import PIECE

from .. import sshd
from ..conftest import Site
from .lab import (
    WEIGHTS,
    Command,
    Lab,
    Models,
    asked_again,
    records,
    serve_words,
    sha256,
    small,
    times_asked,
    until,
)
from .tap import Tap, tapped

HELD_FROM = 3 * PIECE + PIECE // 2
"""Three pieces arrive whole, one arrives in half, and the others not at all."""

BY_HAND = ("model", "download", "big", "--source", "hf://lab/big", "--node", "node1")
DOWNLOAD = {
    "action_id": "fetch",
    "action_type": "download",
    "model_name": "big",
    "source": "hf://lab/big",
    "device": "node1:disk",
}


def begin_download(lab: Lab, tap: Tap, *command: str | Path) -> tuple[Command, list[Any]]:
    """Start a command that downloads ``lab/big`` to node1, and stop it in its middle."""
    tap.hold(HELD_FROM)
    running = lab.start(*(command or BY_HAND))
    until(lambda: len(lab.verified(lab.store("node1"))) >= 3, "three pieces")
    until(lambda: len(times_asked(tap)) == 7, "a request for each piece")
    return running, lab.verified(lab.store("node1"))


def is_whole(lab: Lab, models: Models, node: str = "node1") -> bool:
    """Whether the node's copy is published, and byte for byte what the hub has."""
    copy = lab.copies("big")[f"{node}:disk"]
    return copy["state"] == "ready" and sha256(Path(copy["path"]) / WEIGHTS) == models.big_sha256


# Killed


def test_a_helper_killed_in_the_middle_of_a_download(lab: Lab, tap: Tap, models: Models) -> None:
    download, _ = begin_download(lab, tap)
    os.kill(lab.helper("node1"), signal.SIGKILL)
    verified, so_far = lab.verified(lab.store("node1")), len(tap.requests)
    tap.release()
    assert download.end().code == 0
    assert len(verified) == 3
    assert asked_again(tap, so_far, verified) == []
    assert is_whole(lab, models)


def test_a_helper_killed_while_an_engine_loads(lab: Lab) -> None:
    small(lab)
    serve = lab.start(*serve_words(lab), "--json")
    (engine,) = until(lab.engines, "the engine")
    os.kill(engine, signal.SIGSTOP)  # it takes as long to load as is needed here
    os.kill(lab.helper("node1"), signal.SIGKILL)
    until(lambda: lab.model("small")["replicas"], "the engine, found by the next helper")
    os.kill(engine, signal.SIGCONT)
    ended = serve.end()
    assert ended.code == 0, ended
    assert lab.engines() == [engine]
    model = lab.model("small")
    assert [it["state"] for it in model["replicas"] + model["services"]] == ["ready", "ready"]


def test_a_controller_killed_in_the_middle_of_a_run(lab: Lab, tap: Tap, models: Models) -> None:
    playbook = lab.playbook(
        DOWNLOAD,
        {
            "action_id": "copy",
            "action_type": "copy",
            "model_name": "big",
            "devices": ["node1:disk", "node1:dram"],
            "dependencies": ["fetch"],
        },
    )
    lab.environment["GSWARM_LEASE_GRACE"] = "0.5"
    first, _ = begin_download(lab, tap, "run", playbook)
    first.kill()
    assert [it["kind"] for it in lab.operations()] == ["fetch"]
    second = lab.start("run", playbook, "--json")
    # The node goes on for the job that was lost, and holds its lease for as long.
    until(lambda: waits(second), "the sentence for whom it waits")
    assert waits(second)[0].startswith("waiting for big on node1:disk, held by job 1 of ")
    tap.release()
    assert second.end().code == 0
    (notice,) = second.events[0]["notices"]
    assert notice.startswith("job 1 of this playbook was lost")
    assert set(times_asked(tap).values()) == {1}
    assert is_whole(lab, models)


def progress(command: Command) -> list[dict[str, Any]]:
    """What a `run --json` says of its download."""
    return [
        event
        for event in command.events
        if event["event"] == "task_progress" and event["phase"] == "download"
    ]


def waits(command: Command) -> list[str]:
    """For whom a `run --json` says that it waits."""
    events = [event for event in command.events if event["event"] == "task_waiting"]
    return [event["reason"] for event in events if event["reason"]]


# Cut


def test_a_connection_cut_while_the_node_reaches_the_hub(
    ssh_site: Site, cache: Path, hub: str, models: Models
) -> None:
    server = ssh_site.sshd()
    # 0.0.0.0 leads to this machine as well, and does not count as its loopback: the node fetches
    # from there by itself.
    with tapped(hub, host="0.0.0.0") as tap:
        lab = Lab(ssh_site, cache=cache, hub=tap.url)
        lab.nodes(node1={"host": server.addresses[0], "port": server.port})
        download, verified = begin_download(lab, tap)
        server.cut()
        copy = lab.copies("big")["node1:disk"]
        assert (copy["state"], copy["done"]) == (
            "partial",
            sum(stop - start for start, stop in verified),
        )
        tap.release()
        assert download.end().code == 0
        assert set(times_asked(tap).values()) == {1}
        assert is_whole(lab, models)


def test_a_connection_cut_with_the_way_to_the_hub_in_it(
    ssh_site: Site, cache: Path, hub: str, models: Models
) -> None:
    server = ssh_site.sshd()
    with tapped(hub) as tap:
        lab = Lab(ssh_site, cache=cache, hub=tap.url)
        lab.nodes(node1={"host": server.addresses[0], "port": server.port})
        download, verified = begin_download(lab, tap)
        so_far = len(tap.requests)
        server.cut()
        tap.release()
        ended = download.end()
        assert ended.code == 0, ended
        assert "exception" not in ended.stderr
        assert asked_again(tap, so_far, verified) == []
        assert is_whole(lab, models)


# Two at once


def test_two_controllers_run_one_playbook(lab: Lab, tap: Tap, models: Models) -> None:
    lab.nodes(node1={}, node2={})
    playbook = lab.playbook(
        DOWNLOAD,
        {
            "action_id": "copy",
            "action_type": "copy",
            "model_name": "big",
            "source_device": "${fetch.device}",
            "target_device": "node2:disk",
        },
        {
            "action_id": "serve",
            "action_type": "serve",
            "model_name": "big",
            "device": "node2:dram",
            "engine": "command",
            "config": lab.engine(),
            "dependencies": ["copy"],
        },
        {
            "action_id": "check",
            "action_type": "health_check",
            "target_url": "${serve.url}/health",
        },
    )
    tap.hold(HELD_FROM)
    both = [lab.start("run", playbook, "--json", home=name) for name in ("one", "two")]
    until(lambda: any(progress(command) for command in both), "progress of one")
    until(lambda: any(waits(command) for command in both), "the other, which waits for it")
    tap.release()
    ended = [command.end() for command in both]
    assert [it.code for it in ended] == [0, 0], ended
    assert set(times_asked(tap).values()) == {1}
    services = [command.events[-1]["services"] for command in both]
    assert services[0] == services[1]
    assert len(lab.engines()) == 1
    assert is_whole(lab, models, "node1")
    assert is_whole(lab, models, "node2")


def test_what_two_wait_for_is_not_ended_by_ctrl_c_of_one(
    lab: Lab, tap: Tap, models: Models
) -> None:
    first, _ = begin_download(lab, tap)
    other = lab.start("run", lab.playbook(DOWNLOAD), "--json", home="other")
    until(lambda: progress(other), "progress of the other")
    first.interrupt()
    assert first.end().code == 130
    assert [it["kind"] for it in lab.operations()] == ["fetch"]
    tap.release()
    assert other.end().code == 0
    assert set(times_asked(tap).values()) == {1}
    assert is_whole(lab, models)


# Ctrl-C


def test_ctrl_c_while_a_helper_is_started(lab: Lab) -> None:
    slow = lab.folder / "slow-python"
    slow.write_text("#!/bin/sh\n: >$0-runs\nsleep 60\n")
    slow.chmod(0o755)
    lab.nodes(node1={"connection": "local", "python": str(slow)})
    command = lab.start("nodes")
    until((lab.folder / "slow-python-runs").exists, "the start of the helper")
    command.interrupt()
    ended = command.end(timeout_s=10)
    assert (ended.code, ended.stderr) == (130, "interrupted\n")
    assert sshd.processes_below(slow) == []


@pytest.mark.parametrize("verb", ["download", "run"])
def test_ctrl_c_once_ends_a_download_and_keeps_what_is_here(
    lab: Lab, tap: Tap, models: Models, verb: str
) -> None:
    words: tuple[str | Path, ...] = ("run", lab.playbook(DOWNLOAD)) if verb == "run" else ()
    command, verified = begin_download(lab, tap, *words)
    command.interrupt()
    assert command.end().code == 130
    assert lab.operations() == []
    copy = lab.copies("big")["node1:disk"]
    assert (copy["state"], copy["done"]) == ("partial", 3 * PIECE)
    so_far = len(tap.requests)
    tap.release()
    again = lab.gswarm(*BY_HAND)
    assert again.code == 0, again
    assert asked_again(tap, so_far, verified) == []
    assert is_whole(lab, models)


def test_ctrl_c_once_ends_engines_that_are_not_ready(lab: Lab) -> None:
    playbook = two_engines(lab, "--sick")
    command = lab.start("run", playbook, "--json")
    until(lambda: finished(command, "good") and lab.engines("bad"), "one engine of two")
    (served,) = [event for event in command.events if event["event"] == "task_finished"]
    assert served["state"] == "succeeded"
    command.interrupt()
    ended = command.end()
    assert ended.code == 130
    assert command.events[-1]["state"] == "cancelled"
    assert lab.engines("bad") == []
    (good,) = lab.model("small")["replicas"]
    assert (good["node"], good["state"]) == ("node1", "ready")
    assert good["pid"] in lab.engines("good")
    assert list(lab.root("node2").glob("hosts/*/engines/*.json")) == []


def test_ctrl_c_ends_serve_and_its_engine(lab: Lab) -> None:
    small(lab)
    serve = lab.start(*serve_words(lab, "--sick"))
    until(lab.engines, "the engine")
    serve.interrupt()
    assert serve.end().code == 130
    assert lab.engines() == []
    assert records(lab) == []


def test_ctrl_c_twice_leaves_at_once(lab: Lab) -> None:
    command = lab.start("run", two_engines(lab, "--sick", "--deaf"))
    until(lambda: command.says("good: succeeded") and lab.engines("bad"), "one engine of two")
    command.interrupt()
    until(lambda: command.says("Ctrl-C again"), "what a second Ctrl-C does")
    before = time.monotonic()
    command.interrupt()
    assert command.end().code == 130
    # An engine that is deaf to TERM has ten seconds: nobody waited for those.
    assert time.monotonic() - before < 8
    for pid in lab.engines("bad"):
        os.kill(pid, signal.SIGKILL)


def two_engines(lab: Lab, *bad: str) -> Path:
    """A playbook that serves a small model on node1, and on node2 with a `bad` engine."""
    lab.nodes(node1={}, node2={})
    engines = {
        "good": ("node1", lab.engine(name="good")),
        "bad": ("node2", lab.engine(*bad, name="bad")),
    }
    small(lab)
    return lab.playbook(
        *(
            {
                "action_id": name,
                "action_type": "serve",
                "model_name": "small",
                "device": f"{node}:dram",
                "engine": "command",
                "config": config,
            }
            for name, (node, config) in engines.items()
        )
    )


def finished(command: Command, action: str) -> bool:
    return any(
        event["event"] == "task_finished" and event["action_id"] == action
        for event in command.events
    )
