from __future__ import annotations

from pathlib import Path

import pytest

from gswarm_tui.devices import parse
from gswarm_tui.errors import DeviceError, NodeError, UsageError
from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.models import Models
from gswarm_tui.models.addresses import endpoint_of, tunnel_to
from gswarm_tui.state.models import Registry

from .fake import FakeFleet

GPU0 = parse("node1:gpu0")


async def test_serve_publishes_and_says_where(models: Models, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    result = await models.serve("tiny", [GPU0], port=8080, config={"max_model_len": 64})
    assert (result.url, result.endpoint, result.port) == ("http://node1:8080", None, 8080)
    assert (result.node, result.devices, result.engine) == ("node1", ["node1:gpu0"], "vllm")
    assert not result.already
    (sent,) = fleet["node1"].asked("service.start")
    assert (sent["names"], sent["started_by"]) == (["tiny"], "serve")
    assert (sent["config"], sent["timeout_s"]) == ({"max_model_len": 64}, 600)
    assert (await models.serve("tiny", [GPU0], port=8080)).already


async def test_to_be_served_on_the_cpu_a_model_is_staged_once(
    models: Models, fleet: FakeFleet
) -> None:
    fleet["node1"].has("tiny")
    for _ in range(2):
        await models.serve("tiny", [parse("node1:dram")])
    assert fleet["node1"].tiers("tiny") == ["disk", "dram"]
    assert len(fleet["node1"].asked("model.stage")) == 1
    assert fleet["node1"].asked("service.start")[0]["devices"] == ["dram"]


async def test_a_local_node_answers_from_here(registry: Registry) -> None:
    fleet = FakeFleet(NodeSpec("here", "localhost", connection="local"))
    fleet["here"].has("tiny")
    models = Models(fleet, registry)  # type: ignore[arg-type]
    result = await models.serve("tiny", [parse("here:dram")], port=8080, engine="mlx")
    assert (result.endpoint, result.tunnel) == ("http://127.0.0.1:8080", None)


@pytest.mark.parametrize(
    ("spec", "address", "endpoint", "tunnel"),
    [
        (NodeSpec("n", "h"), "127.0.0.1", None, "ssh -L 80:127.0.0.1:80 -N h"),
        (
            NodeSpec("n", "h", user="u", port=2222, jump="b@j", identity=Path("/k y")),
            "127.0.0.1",
            None,
            "ssh -L 80:127.0.0.1:80 -N -p 2222 -J b@j -i '/k y' u@h",
        ),
        (NodeSpec("n", "h"), "0.0.0.0", "http://h:80", None),
        (NodeSpec("n", "h"), "10.1.2.3", "http://10.1.2.3:80", None),
        (NodeSpec("n", "fe80::1"), "::", "http://[fe80::1]:80", None),
        (NodeSpec("n", "h"), "::1", None, "ssh -L '80:[::1]:80' -N h"),
    ],
)
def test_where_a_service_answers(
    spec: NodeSpec, address: str, endpoint: str | None, tunnel: str | None
) -> None:
    assert endpoint_of(spec, address, 80) == endpoint
    assert tunnel_to(spec, address, 80) == tunnel


async def test_a_key_comes_from_the_environment_and_goes_into_the_frame_only(
    models: Models, fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet["node1"].has("tiny")
    monkeypatch.setenv("TINY_KEY", "s3cret")
    result = await models.serve("tiny", [GPU0], address="0.0.0.0", api_key_env="TINY_KEY")
    assert fleet["node1"].asked("service.start")[0]["api_key"] == "s3cret"
    assert result.endpoint == "http://10.0.0.1:40000"
    assert "s3cret" not in repr(result)


async def test_an_address_that_others_reach_needs_a_key(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"at 0\.0\.0\.0 other machines could use tiny"):
        await models.serve("tiny", [GPU0], address="0.0.0.0")
    monkeypatch.delenv("TINY_KEY", raising=False)
    with pytest.raises(UsageError, match="TINY_KEY is not set"):
        await models.serve("tiny", [GPU0], address="0.0.0.0", api_key_env="TINY_KEY")


@pytest.mark.parametrize("key", ["s3cret\n", " s3cret", "s3 cret", "s3cret\x1b", "s3crét"])
async def test_key_that_no_header_carries_is_refused_unseen(
    models: Models, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("TINY_KEY", key)
    with pytest.raises(UsageError, match="TINY_KEY has spaces") as raised:
        await models.serve("tiny", [GPU0], address="0.0.0.0", api_key_env="TINY_KEY")
    assert "s3" not in f"{raised.value} {raised.value.hint}"


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        (["node1:gpu0", "node2:gpu0"], "cannot span node1 and node2"),
        (["node1:gpu0", "node1:dram"], "cannot be on node1:gpu0 and node1:dram"),
        (["node1:disk"], "an engine runs on a GPU"),
        ([], "no device is named"),
    ],
)
async def test_devices_that_make_no_engine(
    models: Models, devices: list[str], message: str
) -> None:
    with pytest.raises(DeviceError, match=message):
        await models.serve("tiny", [parse(device) for device in devices])


async def test_stop_ends_what_serve_started_and_leaves_what_move_loaded(
    models: Models, fleet: FakeFleet
) -> None:
    fleet["node1"].has("tiny")
    fleet["node2"].has("tiny")
    await models.move("tiny", parse("node1:disk"), [GPU0])
    for node in ("node1", "node2"):
        await models.serve("tiny", [parse(f"{node}:gpu0")])
    stopped = await models.stop_serve("tiny")
    assert (stopped.stopped, stopped.devices) == (2, ["node1:gpu0", "node2:gpu0"])
    assert len(fleet["node1"].replicas) == 1
    assert fleet["node2"].replicas == {}
    assert (await models.stop_serve("tiny", [GPU0])).stopped == 0


async def test_stop_everywhere_does_what_it_can_and_names_the_node_it_can_not_ask(
    models: Models, fleet: FakeFleet
) -> None:
    fleet["node1"].has("tiny")
    await models.serve("tiny", [GPU0])
    fleet["node3"].unreachable = "off"
    with pytest.raises(NodeError, match="node3: whether tiny is served there is unknown: off"):
        await models.stop_serve("tiny")
    assert fleet["node1"].services == {}
    assert (await models.stop_serve("tiny", [GPU0])).stopped == 0
