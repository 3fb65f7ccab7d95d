"""The real vLLM on the CPU, behind the `gswarm` command: loaded, asked, killed, and gone.

It runs in an environment of its own, which tests/prepare_vllm.sh makes. One engine takes 3 GB of
memory and a minute until it answers, so there is one at a time.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

PYTHON = os.environ.get("GSWARM_VLLM_PYTHON")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.vllm,
    pytest.mark.skipif(
        PYTHON is None,
        reason="GSWARM_VLLM_PYTHON names no Python that has vLLM; tests/prepare_vllm.sh makes one",
    ),
]

SCRIPT = Path(__file__).parents[2] / "scripts" / "demo_model.py"
PROMPT = "Once upon a time"
COMMAND_S = 660  # more than gswarm itself gives an engine
NAME = "tiny-llama"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the demo's model, and how it goes on after `PROMPT`."""
    pytest.importorskip("mlx_lm", reason="the extra cpu is not installed: it makes the model")
    script = runpy.run_path(str(SCRIPT))
    folder: Path = script["make"](tmp_path_factory.mktemp("vllm") / NAME)
    sentence: str = next(text for text in script["SENTENCES"] if text.startswith(PROMPT))
    return folder, sentence.removeprefix(PROMPT)


class Site:
    """A controller and one node, both here, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._env = {
            **os.environ,
            "HOME": str(folder),
            "GSWARM_HOME": str(folder / "controller"),
            "GSWARM_INVENTORY": str(folder / "inventory.yaml"),
            "GSWARM_RUN_DIR": str(folder / "run"),
            # As some sites have it; here vLLM's processes would listen for the network with it.
            "GLOO_SOCKET_IFNAME": next((n for n in psutil.net_if_addrs() if n != "lo"), "lo"),
        }
        node = {
            "connection": "local",
            "root": str(folder / "node1"),
            "engines": {"vllm": {"python": PYTHON}},
        }
        (folder / "inventory.yaml").write_text(yaml.safe_dump({"nodes": {"node1": node}}))

    def gswarm(self, *arguments: str) -> str:
        """Run a command that has to succeed; what it printed on stdout."""
        ended = subprocess.run(
            [sys.executable, "-m", "gswarm_tui.cli", *arguments],
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
        )
        assert ended.returncode == 0, f"{arguments}:\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def status(self) -> dict[str, Any]:
        """All that is known of the model."""
        status: dict[str, Any] = json.loads(self.gswarm("model", "status", NAME, "--json"))
        return status

    def end(self) -> None:
        """Leave no process and no file, and complain where there was one."""
        try:
            self.gswarm("model", "unregister", NAME, "--force")
            self.gswarm("down")
        finally:
            left = [process for process in psutil.process_iter() if self._is_ours(process)]
            _, left = psutil.wait_procs(left, timeout=10)  # the helper has just been told to go
            for process in left:
                process.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
        assert not left, f"these processes were left: {left}"

    def _is_ours(self, process: psutil.Process) -> bool:
        """Whether it was started for this site; vLLM's processes rename themselves, but stay."""
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return str(self.folder) in " ".join([process.cwd(), *process.cmdline()])
        except psutil.Error:
            return False


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site(Path(tempfile.mkdtemp(prefix="gs-")))  # short, for the paths of sockets
    try:
        yield made
    finally:
        made.end()


def in_session(leader: int) -> list[psutil.Process]:
    """The live processes of a session; a zombie is dead."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, ProcessLookupError):
            continue  # it ended while it was looked at
    return found


def names(processes: list[psutil.Process]) -> set[str]:
    """What they call themselves: ``VLLM::EngineCore`` and the like."""
    return {" ".join(process.cmdline()).strip() for process in processes}


def listening(process: psutil.Process) -> list[str]:
    """The addresses at which it listens on TCP."""
    connections = process.net_connections(kind="tcp")
    return [c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN]


def ask(
    url: str, body: dict[str, Any] | None = None, *, method: str = "POST"
) -> tuple[int, dict[str, Any]]:
    """The status and the content of an answer, whatever they are."""
    request = urllib.request.Request(
        url,
        method=method,
        data=None if method == "GET" else json.dumps(body or {}).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def status_on_socket(path: Path, target: str) -> int:
    """What the engine itself answers to a GET, to somebody who can open its socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(path))
        connection.sendall(f"GET {target} HTTP/1.0\r\nhost: engine\r\n\r\n".encode())
        return int(connection.recv(64).split()[1])


def test_it_is_served_with_settings_of_ones_own_and_ends_whole(
    site: Site, made: tuple[Path, str]
) -> None:
    folder, continuation = made
    site.gswarm("model", "download", NAME, "--source", f"file://{folder}", "--node", "node1")
    site.gswarm("model", "move", NAME, "--from", "node1:disk", "--to", "node1:dram")
    settings = (
        *("--config", "max_model_len=256", "--config", "enforce_eager=true"),
        *("--config", 'env={"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_SERVER_DEV_MODE": "1"}'),
    )
    where = ("--device", "node1:dram", "--engine", "vllm")
    shown = site.gswarm("model", "serve", NAME, *where, *settings, "--json")
    url = json.loads(shown)["endpoint"]

    request = {"model": NAME, "prompt": PROMPT, "max_tokens": 100, "temperature": 0}
    status, answer = ask(f"{url}/v1/completions", request)
    assert (status, answer["choices"][0]["text"]) == (200, continuation)

    # Nothing but the forwarder can be reached: the server is on a socket that only its user can
    # open, and what its workers have among themselves is on the loopback.
    [replica] = site.status()["replicas"]
    server = psutil.Process(replica["pid"])
    processes = in_session(server.pid)
    assert {"VLLM::EngineCore", "VLLM::Worker"} <= names(processes)
    assert listening(server) == []
    assert {ip for process in processes for ip in listening(process)} <= {"127.0.0.1"}
    [path] = (site.folder / "run").glob("*/engine.sock")
    assert str(path) in [c.laddr for c in server.net_connections(kind="unix")]
    assert path.parent.stat().st_mode & 0o777 == 0o700

    assert status_on_socket(path, "/is_sleeping") == 200  # the admin routes are there
    for method in ("GET", "POST"):
        for target in ("/sleep?level=2", "/is_sleeping", "/collective_rpc", "/metrics"):
            status, answer = ask(url + target, method=method)
            assert (status, answer["error"]["code"]) == (404, "not_found"), target
    status, _ = ask(f"{url}/health", method="GET")
    assert status == 200

    site.gswarm("model", "stop", NAME)
    assert names(in_session(server.pid)) == set()
    assert site.status()["replicas"] == []
    assert not path.parent.exists()


PLAYBOOK = """
name: cpu
actions:
  - {{action_id: fetch, action_type: download, model_name: {name}, source: "file://{folder}",
     device: "node1:disk"}}
  - {{action_id: stage, action_type: move, model_name: {name},
     devices: ["${{fetch.device}}", "node1:dram"]}}
  - {{action_id: publish, action_type: serve, model_name: {name}, device: "${{stage.device}}",
     engine: vllm}}
  - {{action_id: ask, action_type: health_check, target_url: "${{publish.url}}/health",
     model_name: {name}, prompt: "{prompt}"}}
"""


def test_it_is_served_without_settings_killed_and_cleared_away(
    site: Site, made: tuple[Path, str]
) -> None:
    folder, continuation = made
    playbook = site.folder / "cpu.yaml"
    playbook.write_text(PLAYBOOK.format(name=NAME, folder=folder, prompt=PROMPT))
    events = [json.loads(line) for line in site.gswarm("run", str(playbook), "--json").splitlines()]
    results = {e["action_id"]: e["result"] for e in events if e["event"] == "task_finished"}
    assert results["ask"]["completion"] == continuation

    [replica] = site.status()["replicas"]
    server = psutil.Process(replica["pid"])
    assert "VLLM::EngineCore" in names(in_session(server.pid))
    server.kill()  # which the others outlive, with all the memory that they have
    [replica] = site.status()["replicas"]
    assert replica["state"] == "failed"
    assert "SIGKILL" in replica["reason"]
    status, answer = ask(f"{results['publish']['endpoint']}/v1/completions", {"prompt": PROMPT})
    assert (status, answer["error"]["code"]) == (502, "engine_unavailable")

    site.gswarm("model", "stop", NAME)
    assert names(in_session(server.pid)) == set()
    assert site.status()["replicas"] == []
