"""The demo's model: trained for real, and asked by MLX as its engine would."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.e2e

SCRIPT = Path(__file__).parents[2] / "scripts" / "demo_model.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    for needed in ("mlx_lm", "transformers"):
        pytest.importorskip(needed, reason="the extra cpu is not installed")
    spec = importlib.util.spec_from_file_location("demo_model", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = script.make(tmp_path_factory.mktemp("hub") / "demo" / "tiny-llama")
    return made


def test_it_answers_in_the_sentences_it_was_taught(script: ModuleType, folder: Path) -> None:
    from mlx_lm import generate, load

    model, tokenizer = load(str(folder))
    for prompt, sentence in zip(script.PROMPTS, script.SENTENCES, strict=True):
        # MLX drops the blank that a completion begins with.
        answer = generate(model, tokenizer, prompt, max_tokens=100)
        assert f"{prompt} {answer.lstrip()}" == sentence
        chat = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True
        )
        answer = generate(model, tokenizer, chat, max_tokens=100)
        assert f"{prompt} {answer.lstrip()}" == sentence


def test_it_is_a_llama_in_the_files_that_engines_open(folder: Path) -> None:
    from safetensors import safe_open
    from transformers import AutoConfig, AutoTokenizer

    config = AutoConfig.from_pretrained(folder)
    assert config.architectures == ["LlamaForCausalLM"]
    # What the attention kernels of vLLM and SGLang ask for.
    assert config.head_dim % 32 == 0
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert len(tokenizer) <= config.vocab_size
    assert tokenizer.eos_token_id == config.eos_token_id
    with safe_open(folder / "model.safetensors", "numpy") as weights:
        assert weights.metadata() == {"format": "pt"}
        shape = weights.get_slice("model.embed_tokens.weight").get_shape()
        assert list(shape) == [config.vocab_size, config.hidden_size]
    assert (folder / "model.safetensors").stat().st_size > 2e6
