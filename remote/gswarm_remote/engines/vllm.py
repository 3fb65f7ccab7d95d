"""vLLM: its OpenAI server on a Unix socket, on GPUs, or on the CPU where it is the CPU build.

The server is started as a module: the ``vllm`` command of the CPU build fails. Source: vLLM 0.33,
``vllm/entrypoints/openai/api_server.py`` and its engine arguments.

On the CPU vLLM by itself wants most of the memory for its cache, and a C++ compiler and minutes for
compiling; there the defaults are small, and the context is as long as the cache has room for.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List, Mapping

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
    # the model
    "dtype": "str",
    "max_model_len": "int",
    "quantization": "str",
    "load_format": "str",
    "tokenizer": "str",
    "tokenizer_mode": "str",
    "trust_remote_code": "bool",
    "enforce_eager": "bool",
    "seed": "int",
    "hf_overrides": "json",
    "generation_config": "str",
    "override_generation_config": "json",
    "runner": "str",
    # the devices
    "tensor_parallel_size": "int",
    "pipeline_parallel_size": "int",
    "data_parallel_size": "int",
    "enable_expert_parallel": "bool",
    # memory and batches
    "gpu_memory_utilization": "float",
    "kv_cache_memory_bytes": "int",
    "kv_cache_dtype": "str",
    "block_size": "int",
    "cpu_offload_gb": "float",
    "enable_prefix_caching": "bool",
    "enable_chunked_prefill": "bool",
    "max_num_seqs": "int",
    "max_num_batched_tokens": "int",
    "speculative_config": "json",
    "compilation_config": "json",
    "limit_mm_per_prompt": "json",
    # the answers
    "chat_template": "str",
    "max_logprobs": "int",
    "tool_call_parser": "str",
    "reasoning_parser": "str",
}
_SWITCHES = ("enable_auto_tool_choice",)  # a flag without a --no- form
_RESERVED = ("--host", "--port", "--uds", "--model", "--served-model-name", "--api-key")
_PATHS = ("/v1/messages", "/v1/rerank", "/v1/score")

# Its processes talk to each other through gloo and NCCL, which by themselves listen, without a key,
# at the address that the host's name or the first interface has.
_LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
_ENVIRONMENT = {
    "GLOO_SOCKET_IFNAME": _LOOPBACK,
    "NCCL_SOCKET_IFNAME": _LOOPBACK,
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_NO_USAGE_STATS": "1",
}

_CPU_CACHE_PART = 16  # of the machine's memory, for the cache of keys and values
_CPU_CACHE_MOST = 4 * 1024**3  # bytes
_AS_LONG_AS_FITS = -1  # of max_model_len


class Vllm:
    """``python -m vllm.entrypoints.openai.api_server``."""

    name = "vllm"

    def launch(self, wanted: Wanted) -> Launch:
        config = wanted.config
        check_keys(self.name, config, (*_OPTIONS, *_SWITCHES, "max_batch_size"))
        prefix = command_prefix(
            self.name,
            "vllm",
            wanted,
            run=["-m", "vllm.entrypoints.openai.api_server"],
            install="install vLLM there, in its own environment",
        )
        listen = ["--model", str(wanted.path), "--served-model-name", wanted.model]
        return Launch(
            argv=(
                *prefix,
                *listen,
                *("--uds", wanted.uds),
                *flags(_with_defaults(wanted), _OPTIONS),
                *switches(config, _SWITCHES),
                *_arguments(config),
            ),
            env=_ENVIRONMENT,
            endpoint=Endpoint(uds=wanted.uds),
            served_name=wanted.model,
            ready=readiness_of(wanted, "completion"),
            paths=_PATHS,
        )


def _with_defaults(wanted: Wanted) -> Dict[str, Any]:
    """The config, with one shard for each GPU, and ``max_batch_size`` under vLLM's own name."""
    values: Dict[str, Any] = {} if wanted.gpus else _on_cpu(wanted.config)
    if len(wanted.gpus) > 1 and "pipeline_parallel_size" not in wanted.config:
        values["tensor_parallel_size"] = len(wanted.gpus)
    size = typed(wanted.config, "max_batch_size", "int")
    if size is not None:
        values["max_num_seqs"] = size
    return {**values, **wanted.config}


def _on_cpu(config: Mapping[str, Any]) -> Dict[str, Any]:
    """The defaults without a GPU; VLLM_CPU_KVCACHE_SPACE in the environment outdoes the cache's."""
    values: Dict[str, Any] = {"enforce_eager": True, "max_model_len": _AS_LONG_AS_FITS}
    if "gpu_memory_utilization" not in config:  # on the CPU that is a part of the node's memory
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        values["kv_cache_memory_bytes"] = min(memory // _CPU_CACHE_PART, _CPU_CACHE_MOST)
    return values


def _arguments(config: Mapping[str, Any]) -> List[str]:
    return extra_arguments(config, _RESERVED)
