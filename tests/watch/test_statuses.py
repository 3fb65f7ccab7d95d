from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.models.ground import Ground, status_from_wire
from gswarm_tui.models.views import make_view
from gswarm_tui.watch.nodewatch import NodeWatch, Wishes
from gswarm_tui.watch.snapshot import Node
from gswarm_tui.watch.statuses import NOTHING, Holdings, holdings, moment, with_rates

from .fake import FakeNode, frame, gpu
from .test_watcher import COPY, REPLICA, SERVICE

SPEC = NodeSpec("n1", "n1.example")
OPERATION: dict[str, Any] = {
    "kind": "stage",
    "model": "llama",
    "tier": "dram",
    "phase": None,
    "done": 1,
    "total": 10,
    "rate": None,
    "started_at": 5.0,
    "tasks": ["key7/stage/1"],
}


def read(**status: Any) -> Holdings:
    return holdings(SPEC, status, {"key7": 17}.get)


def test_a_copy_that_is_staged_comes_from_disk_for_its_job() -> None:
    (transfer,) = read(operations=[OPERATION]).transfers
    assert (transfer.source, transfer.target) == ("n1:disk", "n1:dram")
    assert (transfer.phase, transfer.job) == ("staging", 17)
    back = {**OPERATION, "tier": "disk", "source": "dram"}
    (transfer,) = read(operations=[back]).transfers
    assert (transfer.source, transfer.target) == ("n1:dram", "n1:disk")


def test_what_has_nothing_on_disk_yet_is_a_copy_on_its_way() -> None:
    (copy,) = read(operations=[OPERATION]).copies
    assert (copy.device, copy.state, copy.done_bytes) == ("n1:dram", "in flight", 1)
    assert copy.size_bytes == 10


def test_what_a_controller_sends_comes_from_it() -> None:
    (transfer,) = read(operations=[{**OPERATION, "kind": "receive"}]).transfers
    assert (transfer.source, transfer.limit) == ("the controller", None)


def test_a_copy_from_another_node_comes_from_there() -> None:
    operation = {**OPERATION, "kind": "receive", "source": "n2:dram"}
    (transfer,) = read(operations=[operation]).transfers
    assert (transfer.source, transfer.target) == ("n2:dram", "n1:dram")


@pytest.mark.parametrize(
    ("kind", "source"), [("fetch", "hf://meta/llama@main"), ("import", "/mnt/weights/llama")]
)
def test_a_download_and_an_import_come_from_where_the_node_says(kind: str, source: str) -> None:
    (transfer,) = read(operations=[{**OPERATION, "kind": kind, "source": source}]).transfers
    assert (transfer.source, transfer.limit) == (source, None)


@pytest.mark.parametrize(
    ("kind", "source", "word", "limit"),
    [
        ("fetch", "hf://meta/llama@main", "source", "the source sends no faster"),
        ("fetch", "hf://meta/llama@main", "disk", "the memory of n1"),
        ("fetch", "hf://meta/llama@main", "hash", "checking the hashes on n1"),
        ("receive", "n2:disk", "relay", "the way through the controller"),
        ("receive", None, "relay", "the controller sends no faster"),
        ("stage", "disk", "source", "the disk of n1"),
        ("stage", "disk", "disk", "the memory of n1"),
        ("import", "/mnt/llama", "source", "reading what is imported on n1"),
        ("fetch", "hf://meta/llama@main", "writer", None),
        ("fetch", "hf://meta/llama@main", ["disk"], None),
    ],
)
def test_what_limits_it_is_said_in_words(
    kind: str, source: str | None, word: object, limit: str | None
) -> None:
    operation = {**OPERATION, "kind": kind, "source": source, "limited_by": word}
    (transfer,) = read(operations=[operation]).transfers
    assert transfer.limit == limit


def test_an_older_helper_tells_a_downloads_source_with_its_copy() -> None:
    status = {"operations": [{**OPERATION, "kind": "fetch"}], "copies": [{**COPY, "tier": "dram"}]}
    (transfer,) = read(**status).transfers
    assert transfer.source == COPY["source"]


@pytest.mark.parametrize("tasks", [5, 0.5, True, "key7", {"key7": 1}, [None, ["key7"]]])
def test_tasks_that_are_none_are_nobodys(tasks: object) -> None:
    (transfer,) = read(operations=[{**OPERATION, "tasks": tasks}]).transfers
    assert transfer.job is None


def test_work_that_moves_nothing_is_no_transfer() -> None:
    assert read(operations=[{**OPERATION, "kind": "load"}]).transfers == ()


@pytest.mark.parametrize(
    ("state", "verified"),
    [("ready", True), ("changed", False), ("damaged", False), ("partial", None)],
)
def test_whether_a_copy_was_verified(state: str, verified: bool | None) -> None:
    (copy,) = read(copies=[{**COPY, "state": state}]).copies
    assert copy.verified is verified
    assert copy.state == state
    assert (copy.done_bytes is None) == (state != "partial")


def test_when_it_was_verified_and_how_many_files_are_bad() -> None:
    known = {**COPY, "state": "damaged", "verified_at": "1970-01-01T00:01:00Z"}
    (copy,) = read(copies=[{**known, "damaged": ["a", "b"]}]).copies
    assert (copy.verified_at, copy.bad_files) == (60.0, 2)
    (older,) = read(copies=[{**known, "verified_at": None, "damaged": 7}]).copies
    assert older.bad_files == 0


def test_models_are_on_the_gpus_of_their_replicas() -> None:
    two = {**REPLICA, "model": "qwen", "devices": ["gpu1", "gpu2", "elsewhere"]}
    assert read(replicas=[REPLICA, two]).loaded == {1: ("llama", "qwen"), 2: ("qwen",)}


STAGED: dict[str, Any] = {**COPY, "tier": "dram"}
ON_CPU: dict[str, Any] = {**REPLICA, "devices": ["dram"]}


def test_what_a_cpu_serves_from_memory_is_one_copy_of_which_that_is_said() -> None:
    disk, dram = read(copies=[COPY, STAGED], replicas=[ON_CPU]).copies
    assert (disk.device, disk.engine) == ("n1:disk", None)
    assert (dram.device, dram.state, dram.engine) == ("n1:dram", "ready", "ready")
    assert dram.size_bytes == COPY["size"]


def test_the_whole_copies_are_where_the_list_of_models_has_them() -> None:
    engines = [{**each, "engine": "mlx"} for each in (ON_CPU, REPLICA, {**REPLICA, "id": "r2"})]
    status = {"copies": [COPY, STAGED], "replicas": engines}
    known = {"n1": status_from_wire("n1", status)}
    listed = make_view(cast("Ground", None), "llama", None, known, {})  # it is for services
    copies = read(**status).copies
    assert [copy.device for copy in copies if copy.state == "ready"] == listed.locations


def test_an_engine_that_begins_beside_one_that_runs_takes_nothing_back() -> None:
    later = {**ON_CPU, "id": "r2", "state": "starting"}
    for replicas in ([ON_CPU, later], [later, ON_CPU]):
        (dram,) = read(copies=[STAGED], replicas=replicas).copies
        assert dram.engine == "ready"
        (alone,) = read(replicas=replicas).copies
        assert (alone.state, alone.engine) == ("ready", None)


def test_of_engines_that_begin_and_that_failed_the_order_does_not_matter() -> None:
    both = [{**ON_CPU, "state": "failed"}, {**ON_CPU, "id": "r2", "state": "starting"}]
    for replicas in (both, both[::-1]):
        (dram,) = read(copies=[STAGED], replicas=replicas).copies
        assert dram.engine == "starting"


def test_an_engine_of_another_revision_is_another_copy() -> None:
    copies = read(copies=[STAGED], replicas=[{**ON_CPU, "revision": "def"}]).copies
    assert [(copy.revision, copy.engine) for copy in copies] == [("abc", None), ("def", None)]


def test_a_service_has_the_rates_of_its_row() -> None:
    (service,) = read(services=[SERVICE]).services
    row = {"requests": 9, "requests_per_s": 0.5, "running": 2, "generation_tokens_per_s": "many"}
    rated = with_rates(service, row)
    assert (rated.requests, rated.requests_per_s, rated.running) == (9, 0.5, 2)
    assert (rated.generation_tokens_per_s, rated.waiting) == (None, None)
    assert with_rates(service, None) is service


def test_a_service_that_only_the_node_reaches_has_no_url() -> None:
    (service,) = read(services=[{**SERVICE, "address": "127.0.0.1"}]).services
    assert (service.url, service.port) == (None, 8000)
    assert service.tunnel == "ssh -L 8000:127.0.0.1:8000 -N n1.example"


def test_what_is_being_loaded_is_a_service_that_starts_until_it_is_published() -> None:
    begun = {**OPERATION, "kind": "serve", "tier": "gpu0,gpu1", "phase": "load"}
    loads = {**REPLICA, "devices": ["gpu0", "gpu1"], "state": "starting", "engine": "vllm"}
    (service,) = read(operations=[begun], replicas=[loads]).starting
    assert (service.devices, service.state) == (("n1:gpu0", "n1:gpu1"), "starting")
    assert (service.engine, service.replica) == ("vllm", "r1")
    assert (service.port, service.started_at, service.job) == (None, 5.0, 17)
    (before,) = read(operations=[begun]).starting  # no engine is there yet
    assert before.engine == ""
    published = {**SERVICE, "model": "llama", "devices": ["gpu0", "gpu1"], "state": "starting"}
    assert read(operations=[begun], services=[published]).starting == ()
    assert read(operations=[{**begun, "kind": "load"}]).starting == ()


LOAD: dict[str, Any] = {**OPERATION, "kind": "load", "tier": "gpu0,gpu1"}


@pytest.mark.parametrize("kind", ["load", "serve"])
def test_a_copy_that_an_engine_is_started_for_says_so_before_the_engine_is_there(kind: str) -> None:
    disk, *loading = read(copies=[COPY], operations=[{**LOAD, "kind": kind}]).copies
    assert not disk.is_loading
    assert [copy.device for copy in loading] == ["n1:gpu0", "n1:gpu1"]
    for copy in loading:
        assert (copy.state, copy.phase, copy.started_at) == ("starting", None, 5.0)
        assert (copy.is_loading, copy.revision) == (True, COPY["revision"])


@pytest.mark.parametrize("lacks", [{"model": ""}, {"tier": ""}, {"tier": None}, {"kind": "verify"}])
def test_what_is_loaded_nowhere_is_no_copy(lacks: dict[str, Any]) -> None:
    assert read(operations=[{**LOAD, **lacks}]).copies == ()


def test_an_engine_that_starts_says_how_far_it_is_and_since_when() -> None:
    replica = {**REPLICA, "devices": ["gpu0", "gpu1"], "state": "starting"}
    told = {**replica, "started_at": "1970-01-01T00:00:07Z"}
    for copy in read(replicas=[told], operations=[{**LOAD, "phase": "check"}]).copies:
        assert (copy.state, copy.phase, copy.started_at) == ("starting", "check", 5.0)
    for copy in read(replicas=[told]).copies:  # an earlier helper began it
        assert (copy.state, copy.phase, copy.started_at) == ("starting", None, 7.0)
    for copy in read(replicas=[{**told, "state": "ready"}], operations=[LOAD]).copies:
        assert (copy.state, copy.phase, copy.started_at) == ("ready", None, None)


def test_what_is_loaded_again_after_its_engine_failed_is_loading() -> None:
    failed = {**REPLICA, "devices": ["gpu0", "gpu1"], "state": "failed", "reason": "exit 1"}
    again = {**LOAD, "phase": "load"}
    for copy in read(copies=[COPY], replicas=[failed], operations=[again]).copies[1:]:
        assert (copy.state, copy.phase, copy.waiting) == ("starting", "load", None)


def test_what_a_cpu_loads_from_memory_is_loading_there() -> None:
    (dram,) = read(copies=[STAGED], operations=[{**LOAD, "tier": "dram"}]).copies
    assert (dram.state, dram.engine, dram.is_loading) == ("ready", "starting", True)
    assert dram.started_at == 5.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        ("1970-01-01T00:01:00+00:00", 60.0),
        ("yesterday", None),
        (None, None),
        ([], None),
        (float("nan"), None),
    ],
)
def test_moments(value: object, expected: float | None) -> None:
    assert moment(value) == expected


@pytest.mark.parametrize("answer", [None, 3, [], "x"])
def test_what_is_no_answer_is_nothing(answer: object) -> None:
    assert holdings(SPEC, answer, lambda key: None) is NOTHING


garbage = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


def spoilt(good: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A map as it should be, with garbage in some places."""
    return st.dictionaries(st.sampled_from(sorted(good)), garbage, max_size=4).map(
        lambda changes: {**good, **changes}
    )


@given(
    st.fixed_dictionaries(
        {
            "copies": st.lists(spoilt(COPY), max_size=2) | garbage,
            "replicas": st.lists(spoilt(REPLICA), max_size=2) | garbage,
            "services": st.lists(spoilt(SERVICE), max_size=2) | garbage,
            "operations": st.lists(spoilt(OPERATION), max_size=2) | garbage,
        }
    ),
    st.lists(spoilt({"service": "s1", "running": 1, "requests": 3}), max_size=2) | garbage,
    spoilt(frame(gpu(0))),
)
def test_whatever_a_node_answers_is_shown_harmlessly(status: Any, rows: Any, told: Any) -> None:
    watch = NodeWatch(FakeNode(), Wishes(), changed=lambda: None, job_of=lambda key: None)
    watch._version = told["static"]  # what the GPUs are is not asked for here
    watch._look(status)
    watch._take({"frame": told})
    watch._take({"frame": {**told, "services": rows}})
    assert isinstance(watch.node(0.0), Node)
    for service in watch.services:
        assert isinstance(service.model, str)
