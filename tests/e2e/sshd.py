"""Real OpenSSH servers on this machine's loopback addresses, and accounts that log in to them."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


def missing() -> str | None:
    """Why real servers cannot be run here, or None where they can."""
    for program in ("sshd", "ssh-keygen"):
        if _find(program) is None:
            return f"{program} is not installed (apt-get install openssh-server)"
    return None


@dataclass(frozen=True, slots=True)
class Account:
    """A user that can log in, with the home folder that sshd gives to its sessions."""

    name: str
    home: Path
    uid: int


@dataclass(slots=True)
class Server:
    """One sshd. Its sessions have a HOME of their own: the real account's is not touched."""

    folder: Path
    addresses: tuple[str, ...]
    port: int
    host_key: Path
    process: subprocess.Popen[bytes]
    log: Path = field(repr=False)

    def known_hosts(self, *, addresses: Sequence[str] | None = None) -> str:
        """The lines that a controller needs to trust this server."""
        key = " ".join(self.host_key.with_suffix(".pub").read_text().split()[:2])
        return "".join(
            f"[{address}]:{self.port} {key}\n" for address in addresses or self.addresses
        )

    def stop(self) -> None:
        """End the listener and every session that it has."""
        for pid in _descendants(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        self.process.terminate()
        self.process.wait(timeout=10)

    def cut(self) -> None:
        """Cut every connection as a failing network does: no goodbye; the listener goes on."""
        for pid in _descendants(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def start(
    folder: Path,
    *,
    authorized_key: Path,
    home: Path | None = None,
    addresses: Sequence[str] = ("127.0.0.1",),
    environment: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    matches: Sequence[str] = (),
    port: int | None = None,
    host_key: Path | None = None,
) -> Server:
    """Start a server in `folder`.

    Args:
        authorized_key: the public key that every account accepts.
        home: HOME in its sessions; the account's own where it is None.
        environment: more variables of its sessions.
        options: lines of sshd_config that go before all others, so that they win.
        matches: lines of sshd_config that go after all others.
        port, host_key: those of an earlier server, to come back as it; otherwise new ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if host_key is None:
        host_key = make_key(folder / "host_key")
    authorized = folder / "authorized_keys"
    authorized.write_text(authorized_key.read_text())
    authorized.chmod(0o644)
    log = folder / "sshd.log"
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    session = {**({"HOME": str(home)} if home else {}), **(environment or {})}
    for attempt in range(5):
        chosen = port or _free_port(addresses)
        config = folder / "sshd_config"
        lines = [
            *options,
            *_config(folder, addresses, chosen, host_key, authorized, session),
            *matches,
        ]
        config.write_text("\n".join(lines) + "\n")
        with log.open("ab") as output:
            process = subprocess.Popen(
                [_require("sshd"), "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        if _listens(process, addresses[-1], chosen):
            return Server(folder, tuple(addresses), chosen, host_key, process, log)
        process.wait()
        if attempt == 4 or port:
            break
    raise RuntimeError(f"sshd did not start: {log.read_text()}")


def make_key(path: Path, *, kind: str = "ed25519") -> Path:
    """A new key pair without a passphrase."""
    path.unlink(missing_ok=True)
    subprocess.run(
        [_require("ssh-keygen"), "-q", "-t", kind, "-N", "", "-C", "gswarm-test", "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path


@contextlib.contextmanager
def account(shell: str, home: Path) -> Iterator[Account]:
    """A user of this machine with `shell` as its login shell, for as long as the block runs.

    ``usermod -p '*'``: an account locked with ``!`` is refused where ``UsePAM no``.
    """
    name = f"gswarm-{secrets.token_hex(4)}"
    subprocess.run(
        ["useradd", "--no-create-home", "--home-dir", str(home), "--shell", shell, name],
        check=True,
        capture_output=True,
    )
    try:
        subprocess.run(["usermod", "-p", "*", name], check=True, capture_output=True)
        entry = pwd.getpwnam(name)
        home.mkdir(parents=True, exist_ok=True)
        os.chown(home, entry.pw_uid, entry.pw_gid)
        yield Account(name, home, entry.pw_uid)
    finally:
        for process in processes_of(pwd.getpwnam(name).pw_uid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        subprocess.run(["userdel", "--force", name], check=False, capture_output=True)
        uid = entry.pw_uid
        for leftover in (Path(f"/tmp/gswarm-{uid}"), Path(f"/dev/shm/gswarm-{uid}")):
            shutil.rmtree(leftover, ignore_errors=True)


def processes_of(uid: int) -> list[int]:
    """The live processes of a user; zombies are dead."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if folder.name.isdigit() and folder.stat().st_uid == uid and _is_alive(folder):
                found.append(int(folder.name))
    return found


def processes_below(folder: Path) -> list[int]:
    """The live processes whose command line names something in `folder`."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            named = (
                process.name.isdigit() and os.fsencode(folder) in (process / "cmdline").read_bytes()
            )
            if named and _is_alive(process):
                found.append(int(process.name))
    return found


def _is_alive(process: Path) -> bool:
    return (process / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def _config(
    folder: Path,
    addresses: Sequence[str],
    port: int,
    host_key: Path,
    authorized: Path,
    session: Mapping[str, str],
) -> list[str]:
    lines = [f"ListenAddress {address}:{port}" for address in addresses]
    lines += [
        f"HostKey {host_key}",
        f"AuthorizedKeysFile {authorized}",
        f"PidFile {folder / 'sshd.pid'}",
        "UsePAM no",
        "StrictModes no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin yes",
        "PrintMotd no",
        "MaxStartups 200",
        "LogLevel VERBOSE",  # one line for each connection and each command, for tests to count
        "Subsystem sftp internal-sftp",
    ]
    if session:
        lines.append("SetEnv " + " ".join(f'{name}="{value}"' for name, value in session.items()))
    return lines


def _listens(process: subprocess.Popen[bytes], address: str, port: int) -> bool:
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
            return True
        time.sleep(0.01)
    process.kill()
    return False


def _free_port(addresses: Sequence[str]) -> int:
    """A port that is free on all of `addresses` now; another process may still take it first."""
    for _ in range(50):
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind((addresses[0], 0))
            port: int = first.getsockname()[1]
            with contextlib.suppress(OSError):
                for address in addresses[1:]:
                    stack.enter_context(socket.socket()).bind((address, port))
                return port
    raise RuntimeError("no port is free on all of the addresses")


def _descendants(pid: int) -> list[int]:
    """The sessions below a listener: sshd's own processes, not what they started."""
    children: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            text = (folder / "stat").read_text()
            number, parent = int(folder.name), int(text.rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(number)
            names[number] = text.split("(", 1)[1].rsplit(")", 1)[0]
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            if names[child].startswith("sshd"):
                found.append(child)
                waiting.append(child)
    return found


def _find(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/local/sbin")


def _require(program: str) -> str:
    found = _find(program)
    if found is None:
        raise RuntimeError(f"{program} is not installed")
    return found
