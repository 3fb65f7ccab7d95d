"""MLX: mlx-lm's server, on Apple machines and on the CPU of every other.

It opens a Hugging Face folder as it is. It has no Unix socket and no API key, so any user of the
node can reach its port on the loopback. A request that names any model but ``default_model`` or the
path that it was started with makes it look the name up on the Hub: the forwarder maps the names,
and keeps the fields out that would load something else. Source: mlx_lm/server.py 0.32.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Mapping

from ..errors import HelperError, Kind
from .base import (
    Endpoint,
    Launch,
    Wanted,
    check_keys,
    extra_arguments,
    flags,
    readiness_of,
    switches,
    typed,
)
from .interpreter import command_prefix

_OPTIONS = {
    "max_tokens": "int",
    "temp": "float",
    "top_p": "float",
    "top_k": "int",
    "min_p": "float",
    "chat_template": "str",
    "chat_template_args": "json",
    "adapter_path": "str",
    "decode_concurrency": "int",
    "prompt_concurrency": "int",
    "prefill_step_size": "int",
    "prompt_cache_size": "int",
    "log_level": "str",
}
_SWITCHES = ("trust_remote_code", "use_default_chat_template")  # flags without a --no- form
_RESERVED = ("--host", "--port", "--model")
# The thread that loads the model has ended; the server stays, and its /health answers 503.
_GIVEN_UP = "mlx_lm.server generation thread died"


class Mlx:
    """``python -m mlx_lm server``."""

    name = "mlx"

    def launch(self, wanted: Wanted) -> Launch:
        config = wanted.config
        check_keys(self.name, config, (*_OPTIONS, *_SWITCHES, "max_batch_size"))
        if len(wanted.devices) > 1:
            raise HelperError(
                Kind.INVALID,
                "mlx serves from one device",
                where=", ".join(wanted.devices),
                hint="give one device, or use the engine vllm for several GPUs",
            )
        prefix = command_prefix(
            self.name,
            "mlx_lm",
            wanted,
            run=["-m", "mlx_lm", "server"],
            install="run pip install mlx-lm 'mlx[cpu]' there",
        )
        listen = ["--model", str(wanted.path), "--host", "127.0.0.1", "--port", str(wanted.port)]
        return Launch(
            argv=(
                *prefix,
                *listen,
                *flags(_with_batch_size(config), _OPTIONS),
                *switches(config, _SWITCHES),
                *extra_arguments(config, _RESERVED),
            ),
            endpoint=Endpoint(port=wanted.port),
            served_name="default_model",
            ready=replace(readiness_of(wanted, "completion"), given_up=_GIVEN_UP),
            refused=("adapters", "draft_model"),
        )


def _with_batch_size(config: Mapping[str, Any]) -> Dict[str, Any]:
    """The source documents' ``max_batch_size`` under the engine's own name."""
    size = typed(config, "max_batch_size", "int")
    return dict(config) if size is None else {"decode_concurrency": size, **config}
