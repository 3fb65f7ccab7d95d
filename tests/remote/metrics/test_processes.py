"""Whose a process is, and what it is in."""

from __future__ import annotations

import getpass
import os
import time
from pathlib import Path

import pytest
from gswarm_remote import processtable
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
    facts = Table().facts(2**22 + 1)
    assert [facts[name] for name in ("user", "command", "unit", "since")] == [None] * 4


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc in the initial namespace, with a process 7 of ours that has a GPU open."""
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to("pid:[4026531836]")
    (tmp_path / "stat").write_text("btime 1000\n")
    (tmp_path / "7/fd").mkdir(parents=True)
    (tmp_path / "7/stat").write_text("7 (py) S " + " ".join(["1"] * 18 + ["500"]))
    (tmp_path / "7/cmdline").write_bytes(b"python\0train.py\0")
    (tmp_path / "7/fd/0").symlink_to("/dev/null")
    (tmp_path / "7/fd/3").symlink_to("/dev/nvidia0")
    monkeypatch.setattr(processtable, "PROC", tmp_path)
    return tmp_path


def in_a_container(proc: Path) -> None:
    (proc / "self/ns/pid").unlink()
    (proc / "self/ns/pid").symlink_to("pid:[4026532421]")


def test_on_the_host_a_number_is_the_process_that_the_driver_means(proc: Path) -> None:
    (proc / "7/fd/3").unlink()
    facts = Table().facts(7)
    assert facts["verified"]
    assert facts["command"] == "python train.py"


def test_in_a_container_one_that_has_a_gpu_open_is_believed(proc: Path) -> None:
    in_a_container(proc)
    facts = Table().facts(7)
    assert facts["verified"]
    assert facts["user"] == getpass.getuser()


def test_in_a_container_nothing_is_told_of_what_may_be_another_process(proc: Path) -> None:
    in_a_container(proc)
    (proc / "7/fd/3").unlink()
    unknown = {"user": None, "command": None, "unit": None, "since": None, "verified": False}
    assert Table().facts(7) == unknown
    assert Table().facts(8) == unknown  # there is none of that number
    (proc / "self/ns/pid").unlink()
    assert Table().facts(7) == unknown  # nor is it known what namespace this is


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
