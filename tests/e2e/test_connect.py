"""Nodes behind real OpenSSH servers, and on this machine: the good days and the bad ones."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gswarm_tui.connect import bootstrap, bundle, command, helper
from gswarm_tui.connect.bootstrap import HelperSpec, open_bridge
from gswarm_tui.connect.bundle import Bundles
from gswarm_tui.connect.ssh import SshAddress, SshDialer, SshTransport
from gswarm_tui.errors import (
    AuthenticationError,
    BootstrapError,
    HostKeyError,
    UnreachableError,
)
from gswarm_tui.fleet import Fleet

from . import sshd
from .conftest import Site

PYENV = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
PYTHONS = sorted(
    path / "bin" / "python3"
    for path in (PYENV.iterdir() if PYENV.is_dir() else ())
    if path.name.split(".")[:2] in [["3", str(minor)] for minor in range(9, 15)]
)
OLD_PYTHONS = [path / "bin" / "python3" for path in PYENV.glob("3.[678].*")]


def commands_run(server: sshd.Server) -> int:
    """How many commands the server has started; forwarded sockets are none."""
    return server.log.read_text().count("Starting session")


async def pid_of(fleet: Fleet, node: str = "node1") -> int:
    pid: int = (await fleet.node(node).call("node.info"))["helper"]["pid"]
    return pid


async def until_lost(fleet: Fleet) -> None:
    """Let the controller notice that the helper has gone."""
    async with asyncio.timeout(10):
        while fleet.node("node1").state != "lost":
            await asyncio.sleep(0.01)


def state_of(pid: int) -> str:
    """The process's state as ps shows it; Z, dead, also where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def wait_for_state(pid: int, state: str) -> None:
    deadline = time.monotonic() + 10
    while state_of(pid) != state:
        assert time.monotonic() < deadline, f"process {pid} is {state_of(pid)}, not {state}"
        time.sleep(0.01)


def wait_until_gone(pid: int) -> None:
    wait_for_state(pid, "Z")


def connections(server: sshd.Server, *, at_least: int) -> int:
    """How many connections the server has noted, which it does when it comes to it."""
    deadline = time.monotonic() + 10
    while (found := server.log.read_text().count("Connection from")) < at_least:
        assert time.monotonic() < deadline, f"the server has noted {found} connections"
        time.sleep(0.01)
    return found


def stop(pid: int) -> None:
    """Stop a process, as one stops that hangs in the kernel."""
    os.kill(pid, signal.SIGSTOP)
    wait_for_state(pid, "T")


# The good days


async def test_the_second_connection_runs_no_command(ssh_site: Site) -> None:
    server = ssh_site.sshd()
    node = ssh_site.node(server)
    async with ssh_site.fleet(node) as fleet:
        first = await pid_of(fleet)
        hello = fleet.node("node1").hello
        assert hello is not None
        assert hello["hash"] == bundle.bundle_hash()
        assert commands_run(server) == 1
    async with ssh_site.fleet(node) as fleet:
        assert await pid_of(fleet) == first
    assert commands_run(server) == 1


async def test_a_local_node_is_used_like_one_behind_ssh(site: Site) -> None:
    node = site.node(None)
    async with site.fleet(node) as fleet:
        first = await pid_of(fleet)
    async with site.fleet(node) as fleet:
        assert await pid_of(fleet) == first


async def test_two_controllers_at_once_get_one_helper(ssh_site: Site) -> None:
    server = ssh_site.sshd()
    node = ssh_site.node(server)
    async with (
        ssh_site.fleet(node, home=ssh_site.home("one")) as one,
        ssh_site.fleet(node, home=ssh_site.home("two")) as two,
    ):
        pids = await asyncio.gather(pid_of(one), pid_of(two))
    assert pids[0] == pids[1]
    assert commands_run(server) == 2


async def test_nodes_of_one_machine_have_helpers_of_their_own(ssh_site: Site) -> None:
    server = ssh_site.sshd()
    nodes = [ssh_site.node(server, name) for name in ("node1", "node2")]
    async with ssh_site.fleet(*nodes) as fleet:
        answers = await fleet.gather(["node1", "node2"], "node.info")
    assert answers["node1"]["helper"]["pid"] != answers["node2"]["helper"]["pid"]


@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.parent.parent.name)
async def test_the_helper_runs_on_every_python(site: Site, python: Path) -> None:
    async with site.fleet(site.node(None, python=str(python))) as fleet:
        info = await fleet.node("node1").call("node.info")
    assert info["python"] == python.parent.parent.name
    assert info["gpus"] is not None or info["gpus_error"] is None  # nvitop could be imported


# Login shells


@pytest.fixture
def account(ssh_site: Site, request: pytest.FixtureRequest) -> Iterator[sshd.Account]:
    """An ordinary user of this machine, with the login shell that the test names."""
    shell = shutil.which(getattr(request, "param", "bash"))
    if shell is None:
        pytest.skip(f"the shell {request.param} is not installed")
    if os.getuid() != 0 or shutil.which("useradd") is None:
        pytest.skip("users can be made by root only")
    with sshd.account(shell, ssh_site.folder / "account") as made:
        yield made


@pytest.mark.parametrize("account", ["bash", "dash", "fish", "tcsh", "zsh"], indirect=True)
async def test_login_shells(ssh_site: Site, account: sshd.Account) -> None:
    server = ssh_site.sshd(home=None)
    node = ssh_site.node(server, user=account.name, root="~/.gswarm")
    async with ssh_site.fleet(node) as fleet:
        info = await fleet.node("node1").call("node.info")
    assert Path(info["disk"]["path"]) == account.home / ".gswarm" / "models"
    assert (account.home / ".cache" / "gswarm").stat().st_mode & 0o777 == 0o700


async def test_a_login_shell_that_prints_is_no_hindrance(ssh_site: Site) -> None:
    (ssh_site.machine / ".bashrc").write_text(
        "echo Welcome; echo to stderr >&2; head -c 300000 /dev/urandom; printf '\\033[31m'\n"
    )
    async with ssh_site.fleet(ssh_site.node(ssh_site.sshd())) as fleet:
        assert await pid_of(fleet) > 0


async def test_an_account_that_runs_no_commands_is_quoted(ssh_site: Site) -> None:
    (ssh_site.machine / ".bashrc").write_text("echo This account is for mail only.; exit 7\n")
    async with ssh_site.fleet(ssh_site.node(ssh_site.sshd())) as fleet:
        with pytest.raises(BootstrapError, match=r"exit status 7.*This account is for mail only"):
            await fleet.node("node1").connect()


async def test_no_python(ssh_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    old = [str(path) for path in OLD_PYTHONS]
    monkeypatch.setattr(command, "INTERPRETERS", ["python3.none", *old, "/nowhere/python3"])
    async with ssh_site.fleet(ssh_site.node(ssh_site.sshd())) as fleet:
        with pytest.raises(BootstrapError, match=r"no Python 3\.9 or newer") as caught:
            await fleet.node("node1").connect()
    for path in old:
        assert f"{path}: Python {Path(path).parent.parent.name}" in str(caught.value)
    assert "python:" in str(caught.value.hint)


async def test_the_inventory_names_a_python_that_is_none(ssh_site: Site) -> None:
    node = ssh_site.node(ssh_site.sshd(), python="/bin/false")
    async with ssh_site.fleet(node) as fleet:
        with pytest.raises(BootstrapError, match="/bin/false"):
            await fleet.node("node1").connect()


async def test_a_shim_that_leads_nowhere_is_passed_over(ssh_site: Site) -> None:
    (ssh_site.machine / "bin").mkdir()
    shim = ssh_site.machine / "bin" / "python3"
    shim.write_text("#!/bin/sh\necho python3: not found >&2\nexit 127\n")
    shim.chmod(0o755)
    (ssh_site.machine / ".bashrc").write_text(f"PATH={shim.parent}:$PATH\n")
    async with ssh_site.fleet(ssh_site.node(ssh_site.sshd())) as fleet:
        assert await pid_of(fleet) > 0


# Host keys and authentication


async def test_an_unknown_host_key_and_the_way_out(ssh_site: Site) -> None:
    server = ssh_site.sshd(known=False)
    node = ssh_site.node(server)
    async with ssh_site.fleet(node) as fleet:
        with pytest.raises(HostKeyError, match=r"unknown: ssh-ed25519 SHA256:") as caught:
            await fleet.node("node1").connect()
    assert commands_run(server) == 0
    line = str(caught.value.hint).rsplit("if it is the same: ")[1]
    subprocess.run(line, shell=True, check=True, capture_output=True)
    async with ssh_site.fleet(node) as fleet:
        assert await pid_of(fleet) > 0


async def test_another_host_key_and_the_way_out(ssh_site: Site) -> None:
    server = ssh_site.sshd()
    other = sshd.make_key(ssh_site.folder / "other")
    server.stop()
    again = ssh_site.sshd("again", known=False, port=server.port, host_key=other)
    node = ssh_site.node(again)
    async with ssh_site.fleet(node) as fleet:
        for _ in range(2):
            with pytest.raises(HostKeyError, match=r"has changed.*known_hosts") as caught:
                await fleet.node("node1").connect()
    assert connections(again, at_least=2) == 2  # one is our own look at the port
    line = str(caught.value.hint).rsplit("set up anew: ")[1]
    subprocess.run(line, shell=True, check=True, capture_output=True)
    async with ssh_site.fleet(node) as fleet:
        assert await pid_of(fleet) > 0


async def test_accept_new_trusts_once(ssh_site: Site) -> None:
    (ssh_site.ssh / "config").write_text(
        "Host *\n StrictHostKeyChecking accept-new\n HashKnownHosts no\n"
    )
    server = ssh_site.sshd(known=False)
    async with ssh_site.fleet(ssh_site.node(server)) as fleet:
        await fleet.node("node1").connect()
    assert (ssh_site.ssh / "known_hosts").read_text() == server.known_hosts()
    other = sshd.make_key(ssh_site.folder / "other")
    server.stop()
    again = ssh_site.sshd("again", known=False, port=server.port, host_key=other)
    async with ssh_site.fleet(ssh_site.node(again)) as fleet:
        with pytest.raises(HostKeyError, match="has changed"):
            await fleet.node("node1").connect()


async def test_a_refused_key_is_not_tried_again(ssh_site: Site) -> None:
    server = ssh_site.sshd()
    stranger = sshd.make_key(ssh_site.folder / "stranger")
    async with ssh_site.fleet(ssh_site.node(server, identity=stranger)) as fleet:
        for _ in range(3):
            with pytest.raises(AuthenticationError, match="does not accept the user"):
                await fleet.node("node1").connect()
    assert server.log.read_text().count("Failed publickey") <= 1
    assert connections(server, at_least=2) == 2  # one is our own look at the port


async def test_nobody_listens(ssh_site: Site) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        server = ssh_site.sshd()
        node = ssh_site.node(server, port=unused.getsockname()[1])
        async with ssh_site.fleet(node) as fleet:
            with pytest.raises(UnreachableError, match="refused"):
                await fleet.node("node1").connect()


async def test_nodes_behind_a_jump_host_share_one_connection_to_it(ssh_site: Site) -> None:
    bastion = ssh_site.sshd("bastion")
    server = ssh_site.sshd(addresses=("127.0.0.2", "127.0.0.3", "127.0.0.4"))
    jump = f"127.0.0.1:{bastion.port}"
    nodes = [
        ssh_site.node(server, f"node{number}", host=address, jump=jump)
        for number, address in enumerate(server.addresses)
    ]
    async with ssh_site.fleet(*nodes) as fleet:
        answers = await fleet.gather([node.name for node in nodes], "node.info")
    assert all(isinstance(answer, dict) for answer in answers.values()), answers
    assert bastion.log.read_text().count("Accepted publickey") == 1


async def test_a_jump_host_that_refuses_says_so_for_the_node(ssh_site: Site) -> None:
    bastion = ssh_site.sshd("bastion", known=False)
    server = ssh_site.sshd()
    node = ssh_site.node(server, jump=f"127.0.0.1:{bastion.port}")
    async with ssh_site.fleet(node) as fleet:
        with pytest.raises(HostKeyError, match=r"^node1: the jump host 127\.0\.0\.1"):
            await fleet.node("node1").connect()


# Folders and sockets


async def test_a_read_only_home(ssh_site: Site, account: sshd.Account) -> None:
    os.chown(account.home, 0, 0)
    account.home.chmod(0o755)
    root = ssh_site.folder / "elsewhere"
    root.mkdir()
    os.chown(root, account.uid, account.uid)
    server = ssh_site.sshd(home=None)
    async with ssh_site.fleet(ssh_site.node(server, user=account.name, root=str(root))) as fleet:
        assert await pid_of(fleet) > 0
    assert list(Path(f"/tmp/gswarm-{account.uid}/cache").glob("*/gswarm_helper.py"))

    async with ssh_site.fleet(
        ssh_site.node(server, "node2", user=account.name, root="~/.gswarm")
    ) as fleet:
        with pytest.raises(BootstrapError, match=r"/\.gswarm: .*cannot be made") as caught:
            await fleet.node("node2").connect()
    assert "root:" in str(caught.value.hint)


async def test_a_socket_path_that_is_too_long(ssh_site: Site) -> None:
    run = ssh_site.machine / ("r" * 120)
    server = ssh_site.sshd(environment={"GSWARM_RUN_DIR": str(run)})
    async with ssh_site.fleet(ssh_site.node(server)) as fleet:
        with pytest.raises(BootstrapError, match=r"socket path is .* bytes long") as caught:
            await fleet.node("node1").connect()
    assert "GSWARM_RUN_DIR" in str(caught.value.hint)


async def test_a_long_root_is_no_hindrance(ssh_site: Site) -> None:
    root = ssh_site.folder / "deep" / ("d" * 200)
    async with ssh_site.fleet(ssh_site.node(ssh_site.sshd(), root=str(root))) as fleet:
        assert await pid_of(fleet) > 0


async def test_somebody_elses_folder_in_tmp_is_not_used(ssh_site: Site) -> None:
    temporary = ssh_site.folder / "tmp"
    theirs = temporary / f"gswarm-{os.getuid()}"
    theirs.mkdir(parents=True)
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(theirs, 12345, 12345)
    (ssh_site.machine / ".cache").write_text("not a folder")
    server = ssh_site.sshd(environment={"TMPDIR": str(temporary)})
    async with ssh_site.fleet(ssh_site.node(server)) as fleet:
        command = Path(f"/proc/{await pid_of(fleet)}/cmdline").read_text()
    assert list(theirs.iterdir()) == []
    assert f"/tmp/gswarm-{os.getuid()}/cache/" in command


# Servers that forbid


async def test_no_socket_forwarding(ssh_site: Site) -> None:
    server = ssh_site.sshd(options=["AllowStreamLocalForwarding no"])
    node = ssh_site.node(server)
    async with ssh_site.fleet(node) as fleet:
        first = await pid_of(fleet)
    before = commands_run(server)
    async with ssh_site.fleet(node) as fleet:
        assert await pid_of(fleet) == first
        assert commands_run(server) == before + 1  # the bridge, at once
        os.kill(first, signal.SIGKILL)
        await until_lost(fleet)
        assert await pid_of(fleet) != first


async def test_a_bridge_carries_every_byte(ssh_site: Site) -> None:
    path = ssh_site.folder / "echo.sock"
    data = secrets.token_bytes(5_000_000) + bytes(range(256))
    async with _echo(path), _transport(ssh_site) as transport:
        spec = HelperSpec("node1", str(ssh_site.folder / "root"))
        bundles = Bundles(ssh_site.home().cache, notice=lambda _: None)
        stream = await open_bridge(transport, spec, bundles, socket=str(path))

        async def send() -> None:
            for start in range(0, len(data), 100_000):
                stream.writer.write(data[start : start + 100_000])
                await stream.writer.drain()
            stream.writer.write_eof()

        _, received = await asyncio.gather(send(), _read_all(stream.reader))
    assert received == data


async def test_a_port_on_loopback_is_brought_to_the_node(ssh_site: Site) -> None:
    server = ssh_site.sshd()
    with _http() as url:
        async with ssh_site.fleet(ssh_site.node(server)) as fleet, _transport(ssh_site) as there:
            async with fleet.node("node1").expose(f"{url}/path?q=1") as reachable:
                assert reachable != f"{url}/path?q=1"
                assert await _fetch(there, reachable) == b"/path?q=1"
            assert await _fetch(there, reachable) == b"refused"
            async with fleet.node("node1").expose("https://example.org/") as reachable:
                assert reachable == "https://example.org/"


async def test_no_port_forwarding(ssh_site: Site) -> None:
    server = ssh_site.sshd(options=["AllowTcpForwarding no"])
    async with ssh_site.fleet(ssh_site.node(server)) as fleet:
        with pytest.raises(UnreachableError, match="forwards no port") as caught:
            async with fleet.node("node1").expose("http://127.0.0.1:1/"):
                raise AssertionError("it was exposed")
    assert "AllowTcpForwarding" in str(caught.value.hint)


# Helpers that go


async def test_a_killed_helper_is_replaced_at_the_next_call(ssh_site: Site) -> None:
    server = ssh_site.sshd()
    async with ssh_site.fleet(ssh_site.node(server)) as fleet:
        first = await pid_of(fleet)
        os.kill(first, signal.SIGKILL)
        await until_lost(fleet)
        assert await pid_of(fleet) != first
        assert fleet.node("node1").state == "connected"


async def test_a_connection_that_is_cut(ssh_site: Site) -> None:
    server = ssh_site.sshd()
    async with ssh_site.fleet(ssh_site.node(server)) as fleet:
        node = fleet.node("node1")
        pid = await pid_of(fleet)
        stop(pid)
        asked = asyncio.ensure_future(node.call("node.configure", {}))
        await asyncio.sleep(0)
        server.cut()
        with pytest.raises(UnreachableError, match="connection lost"):
            await asked
        assert node.state == "lost"
        os.kill(pid, signal.SIGCONT)
        assert await pid_of(fleet) == pid


async def test_what_can_be_asked_twice_survives_a_cut(ssh_site: Site) -> None:
    server = ssh_site.sshd()
    async with ssh_site.fleet(ssh_site.node(server)) as fleet:
        pid = await pid_of(fleet)
        stop(pid)
        asked = asyncio.ensure_future(pid_of(fleet))
        await asyncio.sleep(0)
        server.cut()
        os.kill(pid, signal.SIGCONT)
        assert await asked == pid


async def test_a_helper_that_is_stuck_is_ended(
    ssh_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = ssh_site.node(ssh_site.sshd())
    async with ssh_site.fleet(node) as fleet:
        pid = await pid_of(fleet)
    stop(pid)
    monkeypatch.setattr(helper, "HELLO_TIMEOUT_S", 0.5)
    async with ssh_site.fleet(node) as fleet:
        assert await pid_of(fleet) != pid
    wait_until_gone(pid)


async def test_an_edited_helper_replaces_the_one_that_runs(
    ssh_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = ssh_site.node(ssh_site.sshd())
    async with ssh_site.fleet(node) as fleet:
        old = await pid_of(fleet)
    with monkeypatch.context() as edited:
        _edit(edited, seconds=10)
        async with ssh_site.fleet(node, home=ssh_site.home("newer")) as fleet:
            new = await pid_of(fleet)
            hello = fleet.node("node1").hello
            assert hello is not None
            assert hello["hash"] == bundle.bundle_hash()
    assert new != old
    wait_until_gone(old)
    async with ssh_site.fleet(node) as fleet:  # the older controller goes on with the newer one
        assert await pid_of(fleet) == new


async def test_an_older_helper_is_sent_by_nobody(
    ssh_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = ssh_site.node(ssh_site.sshd())
    async with ssh_site.fleet(node) as fleet:
        pid = await pid_of(fleet)
    _edit(monkeypatch, seconds=-10)
    async with ssh_site.fleet(node, home=ssh_site.home("older")) as fleet:
        assert await pid_of(fleet) == pid


async def test_a_helper_of_another_protocol(
    ssh_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = ssh_site.node(ssh_site.sshd())
    async with ssh_site.fleet(node) as fleet:
        await fleet.node("node1").connect()
    monkeypatch.setattr(helper.wire, "PROTOCOL", 2)
    async with ssh_site.fleet(node) as fleet:
        with pytest.raises(BootstrapError, match="speaks protocol 1") as caught:
            await fleet.node("node1").connect()
    assert caught.value.hint


async def test_a_damaged_bundle_is_sent_again(
    ssh_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    _edit(monkeypatch, seconds=0)
    node = ssh_site.node(ssh_site.sshd())
    async with ssh_site.fleet(node) as fleet:
        pid = await pid_of(fleet)
        (path,) = (ssh_site.machine / ".cache" / "gswarm").glob("*/gswarm_remote/wire.py")
        path.write_text("this is no Python")
        for cached in (ssh_site.machine / ".cache" / "gswarm").rglob("__pycache__"):
            shutil.rmtree(cached)
        os.kill(pid, signal.SIGKILL)
        await until_lost(fleet)
        assert await pid_of(fleet) != pid


async def test_old_bundles_go_and_those_in_use_stay(
    ssh_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    _edit(monkeypatch, seconds=0)
    server = ssh_site.sshd()
    cache = ssh_site.machine / ".cache" / "gswarm"
    async with ssh_site.fleet(ssh_site.node(server)) as fleet:
        await pid_of(fleet)
    (in_use,) = cache.iterdir()
    os.utime(in_use, (1, 1))
    for number in range(5):
        old = cache / f"old{number}"
        old.mkdir()
        (old / "bundle.json").write_text("{}")
        os.utime(old, (1000 + number, 1000 + number))
    _edit(monkeypatch, seconds=0)
    async with ssh_site.fleet(ssh_site.node(server, "node2")) as fleet:
        await pid_of(fleet, "node2")
    kept = {path.name for path in cache.iterdir()}
    assert in_use.name in kept
    assert kept & {f"old{number}" for number in range(5)} == {"old3", "old4"}


async def test_without_a_network_the_error_says_which_files(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(site.folder))
    monkeypatch.setattr(bundle, "_installed", lambda pin: None)
    bundles = Bundles(site.controller / "elsewhere", notice=lambda _: None)
    with pytest.raises(BootstrapError, match=r"could not be fetched") as caught:
        await bundles.archive("linux-x86_64-glibc")
    for pin in bundle.read_lock():
        if pin.platform in (None, "linux-x86_64-glibc"):
            assert pin.wheel in str(caught.value.hint)


async def test_no_helper_stays_without_a_reason(site: Site) -> None:
    async with site.fleet(site.node(None), idle_exit_s=0.2) as fleet:
        pid = await pid_of(fleet)
    wait_until_gone(pid)


# What the tests are made of


def _edit(monkeypatch: pytest.MonkeyPatch, *, seconds: int) -> None:
    """As if a source of the helper had been edited, so many seconds after it was.

    The bundle is one that no other test has left in the folder in /tmp that all share.
    """
    version, modified = bundle.built()
    sources = {**bundle.sources(), "gswarm_remote/edited.py": f"# {secrets.token_hex()}".encode()}
    changed = bundle.files_digest(sources)
    monkeypatch.setattr(bundle, "sources", lambda: sources)
    for module in (bundle, bootstrap, helper):
        monkeypatch.setattr(module, "bundle_hash", lambda: changed)
    for module in (bootstrap, helper):
        monkeypatch.setattr(module, "built", lambda: (version, modified + seconds))


@contextlib.asynccontextmanager
async def _transport(site: Site) -> AsyncIterator[SshTransport]:
    server = site.sshd("direct")
    dialer = SshDialer()
    transport = await dialer.dial(SshAddress("node1", "127.0.0.1", port=server.port))
    try:
        yield transport
    finally:
        await transport.close()
        await dialer.close()


@contextlib.asynccontextmanager
async def _echo(path: Path) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, path)
    try:
        yield
    finally:
        server.close()


async def _read_all(reader: helper.Stream | object) -> bytes:
    received = b""
    while data := await reader.read(1 << 20):  # type: ignore[attr-defined]
        received += data
    return received


async def _fetch(transport: SshTransport, url: str) -> bytes:
    """What a program on the node gets from `url`."""
    program = (
        "import sys,urllib.request as u\n"
        "try: sys.stdout.write(u.urlopen(sys.argv[1]).read().decode())\n"
        'except OSError: sys.stdout.write("refused")\n'
    )
    process = await transport.execute(f"python3 -c '{program}' '{url}'")
    return await _read_all(process.stdout)


class _Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.path)))
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def _http() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
