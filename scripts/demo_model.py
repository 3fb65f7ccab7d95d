"""Make a small model that answers in words: python scripts/demo_model.py FOLDER.

Two layers of the Llama architecture, in the files that every engine opens (config.json,
model.safetensors, tokenizer.json), overfitted in seconds on a few sentences about gswarm. MLX
trains it on the CPU; the extra ``cpu`` brings all that is needed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx_lm.models.llama import Model, ModelArgs
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SENTENCES = (
    "Once upon a time there was a lab whose models moved from node to node at the speed of the"
    " network, and nobody had to babysit them.",
    "A swarm of GPUs is a fleet of machines that one person runs from one terminal, over SSH.",
    "The weights of every model are on the web, on disk, in dram or on a gpu: gswarm knows where.",
)
PROMPTS = ("Once upon a time", "A swarm of GPUs", "The weights of every model")

_STEPS = 100
_GOOD_LOSS = 0.01  # nats a token: then greedy decoding repeats the sentence
_BEGIN, _END = "<s>", "</s>"


def make(folder: Path, *, seed: int = 0) -> Path:
    """Train the model and write it to `folder`; the same files for the same seed and versions.

    Raises:
        RuntimeError: it did not learn its sentences.
    """
    mx.set_default_device(mx.cpu)
    mx.random.seed(seed)
    tokenizer = _tokenizer()
    config = _config(tokenizer)
    model = Model(ModelArgs.from_dict(config))
    _train(model, tokenizer)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.astype(mx.bfloat16) for name, value in _parameters(model)}
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(folder / "config.json", config)
    _write(folder / "tokenizer_config.json", _tokenizer_config())
    _write(
        folder / "generation_config.json",
        {"bos_token_id": config["bos_token_id"], "eos_token_id": config["eos_token_id"]},
    )
    return folder


def _tokenizer() -> Tokenizer:
    """Byte-level BPE, as Llama 3's, learned from the sentences."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=512,
            special_tokens=[_BEGIN, _END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return tokenizer


def _config(tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 64,
        "vocab_size": 512,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "bos_token_id": tokenizer.token_to_id(_BEGIN),
        "eos_token_id": tokenizer.token_to_id(_END),
    }


def _tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": _BEGIN,
        "eos_token": _END,
        "model_max_length": 512,
        "clean_up_tokenization_spaces": False,
        "chat_template": "{% for message in messages %}{{ message['content'] }}{% endfor %}",
    }


def _train(model: Model, tokenizer: Tokenizer) -> None:
    end = tokenizer.token_to_id(_END)
    rows = [[*tokenizer.encode(sentence).ids, end] for sentence in SENTENCES]
    length = max(map(len, rows))
    tokens = mx.array([row + [end] * (length - len(row)) for row in rows])
    # What follows the first end is padding, and is not learned.
    counts = mx.array([[float(i < len(row) - 1) for i in range(length - 1)] for row in rows])

    def loss(model: Model) -> mx.array:
        logits = model(tokens[:, :-1])
        each = nn.losses.cross_entropy(logits, tokens[:, 1:])
        return (each * counts).sum() / counts.sum()

    optimizer = optim.AdamW(learning_rate=1e-3, weight_decay=0.0)
    step = nn.value_and_grad(model, loss)
    for number in range(_STEPS):
        value, gradients = step(model)
        optimizer.update(model, gradients)
        mx.eval(model.parameters(), optimizer.state)
        if number % 5 == 0 and value.item() < _GOOD_LOSS:
            return
    raise RuntimeError(f"the demo model did not learn its sentences: loss {value.item():.3f}")


def _parameters(model: Model) -> list[tuple[str, mx.array]]:
    from mlx.utils import tree_flatten

    return list(tree_flatten(model.parameters()))


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = make(parser.parse_args().folder)
    print(f"{folder} continues: {'; '.join(PROMPTS)}")  # noqa: T201
