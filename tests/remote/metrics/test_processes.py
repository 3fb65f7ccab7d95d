"""Whose a process is, and what it is in."""

from __future__ import annotations

import getpass
import os
import time

import pytest
from gswarm_remote.metrics.processes import MAX_COMMAND, Table, harmless, unit_of

ID = "9b1c44e0a7d2" + "0" * 52


@pytest.mark.parametrize(
    ("cgroups", "unit"),
    [
        (f"0::/system.slice/docker-{ID}.scope\n", "docker 9b1c44e0a7d2"),
        (f"12:memory:/docker/{ID}\n11:cpu:/docker/{ID}\n", "docker 9b1c44e0a7d2"),
        (
            f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/x",
            "podman 9b1c44e0a7d2",
        ),
        (
            f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope\n",
            "k8s 9b1c44e0a7d2",
        ),
        (f"0::/kubepods/besteffort/pod8f/{ID}\n", "k8s 9b1c44e0a7d2"),
        ("0::/lxc.payload.box1/init.scope\n", "lxc box1"),
        ("0::/system.slice/slurmstepd.scope/job_48213/step_0/user\n", "slurm job 48213"),
        ("4:memory:/slurm/uid_1000/job_7/step_batch\n", "slurm job 7"),
        ("0::/system.slice/vllm.service\n", "vllm.service"),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/notebook.service\n",
            "notebook.service",
        ),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope"),
        ("0::/\n", None),
        ("", None),
    ],
)
def test_units(cgroups: str, unit: str | None) -> None:
    assert unit_of(cgroups) == unit


def test_our_own_process() -> None:
    facts = Table().facts(os.getpid())
    assert facts["user"] == getpass.getuser()
    assert "python" in facts["command"]
    assert len(facts["command"]) <= MAX_COMMAND
    assert 0 < time.time() - facts["since"] < 3600


def test_a_process_that_is_gone() -> None:
    nothing = {"user": None, "command": None, "unit": None, "since": None}
    assert Table().facts(2**22 + 1) == nothing


def test_facts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table()
    first = table.facts(os.getpid())
    assert table.facts(os.getpid()) is first


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["serve", "--api-key", "s3cret", "--port", "1"], "serve --api-key *** --port 1"),
        (["serve", "--api-key=s3cret"], "serve --api-key=***"),
        (["x", "--hf-token", "hf_1"], "x --hf-token ***"),
        (["x", "--wandb_api_key=1", "-password", "p"], "x --wandb_api_key=*** -password ***"),
        (["x", "--token", "--verbose"], "x --token --verbose"),
        (["x", "--password", "-dashed"], "x --password ***"),
        (["env", "WANDB_API_KEY=abc", "python"], "env WANDB_API_KEY=*** python"),
        (["sh", "-c", "HF_TOKEN=abc exec python"], "sh -c HF_TOKEN=*** exec python"),
        (["x", '{"api_key": "abc", "n": 1}'], 'x {"api_key": "***", "n": 1}'),
        (["curl", "-H", "Authorization: Bearer abc"], "curl -H Authorization: Bearer ***"),
        (["x", "postgres://ana:pw@db/x"], "x postgres://***@db/x"),
        (["x", "hf_abcdefghij"], "x ***"),
        (["x", "--max-tokens", "512", "--tokenizer", "t"], "x --max-tokens 512 --tokenizer t"),
        (["x", "--max_tokens=512", "token_count=3"], "x --max_tokens=512 token_count=3"),
    ],
)
def test_secrets_on_command_lines_are_not_told(words: list[str], shown: str) -> None:
    assert harmless(words) == shown
