"""From an order and a config to a command line, or to an error that says what to do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.engines import catalogue
from gswarm_remote.engines.base import Endpoint, Launch, Wanted
from gswarm_remote.engines.order import Order
from gswarm_remote.errors import HelperError


def launch(
    engine: str,
    config: dict[str, Any] | None = None,
    *,
    devices: tuple[str, ...] = ("gpu0",),
    settings: dict[str, Any] | None = None,
    **more: Any,
) -> Launch:
    wanted = Wanted(
        model="tiny",
        path=Path("/models/a model"),
        devices=devices,
        config=config or {},
        settings={"command": ["server"]} if settings is None else settings,
        uds="/run/engine.sock",
        port=8123,
        **more,
    )
    return catalogue.ENGINES[engine].launch(wanted)


@pytest.mark.parametrize(
    ("command", "argv", "endpoint"),
    [
        pytest.param(
            "serve --model={path} --port {port}",
            ("serve", "--model=/models/a model", "--port", "8123"),
            Endpoint(port=8123),
            id="a string; a space in the path splits nothing",
        ),
        pytest.param(
            ["serve", "{uds}", "{name} {devices}", "{{}}"],
            ("serve", "/run/engine.sock", "tiny gpu0", "{}"),
            Endpoint(uds="/run/engine.sock"),
            id="words, a socket, and braces of one's own",
        ),
        pytest.param(
            "sh -c 'exec serve {port}; $(reboot)'",
            ("sh", "-c", "exec serve 8123; $(reboot)"),
            Endpoint(port=8123),
            id="no shell reads it",
        ),
    ],
)
def test_a_command_of_the_users(command: Any, argv: tuple[str, ...], endpoint: Endpoint) -> None:
    made = launch("command", {"command": command}, settings={})
    assert (made.argv, made.endpoint) == (argv, endpoint)
    assert made.ready.any_answer


def test_a_server_with_a_port_of_its_own() -> None:
    made = launch("command", {"command": "serve", "port": 9000, "served_name": "theirs"})
    assert (made.endpoint, made.served_name) == (Endpoint(port=9000), "theirs")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({}, "needs a command"),
        ({"command": "serve {path}"}, r"has no \{port\}"),
        ({"command": "serve {port} {uds}"}, r"both \{port\} and \{uds\}"),
        ({"command": "serve {port} {home}"}, r"unknown placeholder \{home\}"),
        ({"command": "serve {port.__class__}"}, "unknown placeholder"),
        ({"command": "serve {port"}, "expected '}'"),
        ({"command": "serve 'half {port}"}, "cannot be split"),
        ({"command": "{port}", "paths": ["/v1/../admin"]}, "paths has '/v1/../admin'"),
        ({"command": "{port}", "helth": "/up"}, "did you mean 'health'"),
        ({"command": "{port}", "ready": "prayer"}, "ready is 'prayer'"),
        ({"command": "{port}", "env": 5}, None),  # planning refuses it: it knows the order's env
    ],
)
def test_what_is_wrong_with_a_command(config: dict[str, Any], reason: str | None) -> None:
    if reason is None:
        launch("command", config, settings={})
        return
    with pytest.raises(HelperError, match=reason) as raised:
        launch("command", config, settings={})
    assert raised.value.hint


def test_vllm_splits_a_model_over_its_gpus_and_listens_on_a_socket() -> None:
    made = launch(
        "vllm",
        {
            "framework": "vllm",
            "max_batch_size": 32,
            "max_model_len": 256,
            "enforce_eager": True,
            "enable_prefix_caching": False,
            "enable_auto_tool_choice": True,
            "hf_overrides": {"a": 1},
            "args": ["--seed", 7],
        },
        devices=("gpu0", "gpu1"),
    )
    line = " ".join(made.argv)
    assert line.startswith(
        "server --model /models/a model --served-model-name tiny --uds /run/engine.sock"
    )
    for words in (
        "--tensor-parallel-size 2",
        "--max-num-seqs 32",
        "--max-model-len 256",
        "--enforce-eager",
        "--no-enable-prefix-caching",
        "--enable-auto-tool-choice",
        '--hf-overrides {"a": 1}',
        "--seed 7",
    ):
        assert words in line
    assert made.endpoint == Endpoint(uds="/run/engine.sock")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"max_model_length": 5}, "did you mean 'max_model_len'"),
        ({"max_model_len": "5"}, "has to be of type int"),
        ({"enforce_eager": 1}, "has to be of type bool"),
        ({"args": "--seed 7"}, "has to be a list"),
        ({"args": ["--host=0.0.0.0"]}, "must not have --host"),
        ({"args": ["--api-key", "x"]}, "must not have --api-key"),
    ],
)
def test_what_is_wrong_with_a_config(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(HelperError, match=reason):
        launch("vllm", config)


def test_mlx_listens_on_loopback_and_loads_nothing_else() -> None:
    made = launch("mlx", {"max_tokens": 64}, devices=("dram",))
    assert made.argv == (
        *("server", "--model", "/models/a model", "--host", "127.0.0.1", "--port", "8123"),
        *("--max-tokens", "64"),
    )
    assert made.served_name == "default_model"
    assert {"adapters", "draft_model"} <= set(made.refused)
    with pytest.raises(HelperError, match="one device"):
        launch("mlx", devices=("gpu0", "gpu1"))


def test_an_embedding_model_is_asked_for_an_embedding() -> None:
    assert launch("vllm", type="embedding").ready.ask == "embedding"
    assert launch("vllm", {"ready": "chat"}, type="embedding").ready.ask == "chat"


def test_an_engine_that_is_not_installed_says_where_to_set_it() -> None:
    with pytest.raises(HelperError, match="vllm is not installed in") as raised:
        launch("vllm", settings={"python": sys.executable})
    assert "engines.vllm.python" in str(raised.value.hint)
    with pytest.raises(HelperError, match=r"/nowhere/python .* cannot be run"):
        launch("mlx", settings={"python": "/nowhere/python"})


def test_which_engine_is_meant() -> None:
    assert catalogue.chosen_name(None, {"framework": "vllm"}) == "vllm"
    assert catalogue.default_name(["gpu0"], {}) == "vllm"
    assert catalogue.default_name(["dram"], {}) == "mlx"
    assert catalogue.default_name(["dram"], {"command": {}}) == "command"
    with pytest.raises(HelperError, match="did you mean 'vllm'"):
        catalogue.chosen_name("vlm", {})
    with pytest.raises(HelperError, match="framework is mlx"):
        catalogue.chosen_name("vllm", {"framework": "mlx"})


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"devices": []}, "no device"),
        ({"devices": ["disk"]}, "nothing can be served from 'disk'"),
        ({"devices": ["gpu01"]}, "nothing can be served"),
        ({"devices": ["gpu0", "gpu0"]}, "named twice"),
        ({"devices": ["gpu0", "dram"]}, "cannot be on"),
        ({"devices": ["gpu0"], "model": "../x"}, "name"),
        ({"devices": ["gpu0"], "env": {"A=B": "c"}}, "cannot be set"),
        ({"devices": ["gpu0"], "timeout_s": 0}, "timeout_s"),
        ({"devices": ["gpu0"], "config": ["a"]}, "config has to be a map"),
    ],
)
def test_an_order_is_checked(params: dict[str, Any], reason: str) -> None:
    with pytest.raises(HelperError, match=reason):
        Order.from_params({"model": "tiny", **params})
