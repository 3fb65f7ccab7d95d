"""Stage 0: what runs on a node before the helper does, sent as text on its Python's command line.

It prints the marker (everything before it is a banner of the login shell), says what it found,
reads the bundle if the node has not got it, starts the helper and passes on where that listens.
Asked to, it then carries bytes between its own streams and the helper's socket, for servers that
forward no sockets.

After the marker it writes lines: ``report``, ``ready``, ``bridge`` or ``failed``, a blank, and a
payload. It runs on Python 3.9 with nothing but the standard library, and imports only modules that
load at once: `json` alone would double the time it takes to start, so would `pathlib`.
"""

# ruff: noqa: PTH101, PTH103, PTH104, PTH110, PTH111, PTH116, PTH118, PTH120, PTH123, PTH208, SIM105

from __future__ import annotations

import _socket
import _thread
import binascii
import fcntl
import os
import select
import sys
import time
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

KEPT_BUNDLES = 3
START_TIMEOUT_S = 60
TERM_TIMEOUT_S = 5
LAUNCHER = "gswarm_helper.py"
INDEX = "index"
CHUNK = 1 << 18


class Failed(Exception):
    """Text for the user, and what to do."""


def main(asked: dict[str, Any]) -> int:
    """Do what the controller asks; return the exit status.

    Args:
        asked: ``marker``; ``hash`` of the bundle; ``built``: release and time of the controller's
            helper, which say how new it is; ``root``; ``idle_exit``, seconds or None; ``fresh``:
            the bundle that is there is not to be used; ``end``: the pid of a helper to end, or
            None; ``bridge``: carry bytes at the end; ``socket``: where a helper was known to
            listen, or None: a bridge tries it before all else, and the one to end has it.
    """
    write(asked["marker"].encode())
    try:
        if asked["bridge"] and asked["socket"]:
            sock = connect(asked["socket"])
            if sock is not None:
                say("bridge", b"")
                carry(sock)
        bundle = find_bundle(asked)
        if asked["end"]:
            end_helper(asked["end"], asked["socket"])
        line = start(bundle, asked)
        say("ready", line)
        if asked["bridge"]:
            sock = connect(socket_in(line))
            if sock is None:
                raise Failed("the helper does not answer on its socket", "connect again")
            say("bridge", b"")
            carry(sock)
    except Failed as failed:
        say("failed", ascii(failed.args).encode())
        return 1
    return 0


def say(kind: str, payload: bytes) -> None:
    write(kind.encode() + b" " + payload + b"\n")


def write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


# The bundle


def find_bundle(asked: dict[str, Any]) -> str:
    """The folder of the bundle, after it was read from stdin where it was missing or damaged."""
    name = asked["hash"] + "-" + platform()
    found, fresh = None, asked["fresh"]
    for folder in cache_folders([], make=False):
        if os.path.exists(os.path.join(folder, name, LAUNCHER)):
            found = os.path.join(folder, name)
            fresh = fresh or not is_whole(found)
            break
    report = {
        "python": sys.executable,
        "version": list(sys.version_info[:3]),
        "platform": platform(),
        "bundle": found,
        "user": os.getuid(),
    }
    if found and not fresh:
        say("report", ascii(report).encode())
        return found
    say("report", ascii(dict(report, bundle=None)).encode())
    return unpack(read_bundle(), name, fresh=fresh)


def is_whole(bundle: str) -> bool:
    """Whether every file has its size; a power failure may have emptied what was just unpacked.

    To fsync each would make the first connection to a node a tenth slower, and more on slow disks.
    """
    try:
        with open(os.path.join(bundle, INDEX), "rb") as file:
            lines = file.read().decode().splitlines()
        for line in lines:
            size, path = line.split(" ", 1)
            if os.stat(os.path.join(bundle, path)).st_size != int(size):
                return False
    except (OSError, ValueError):
        return False
    return bool(lines)


def platform() -> str:
    """This platform as bundle.lock names it: system, machine, and the C library on Linux."""
    name = sys.platform + "-" + os.uname().machine
    if sys.platform != "linux":
        return name
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        libc = ""
    return name + ("-glibc" if libc.startswith("glibc") else "-musl")


def cache_folders(refused: list[str], *, make: bool) -> Iterator[str]:
    """Folders for bundles of this user alone, best first; `refused` gets why others are none."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    chains = [[os.path.join(cache, "gswarm")]]
    for base in (os.environ.get("TMPDIR", ""), "/tmp", "/var/tmp"):  # noqa: S108 - see private
        if base:
            own = os.path.join(base, f"gswarm-{os.getuid()}")
            chains.append([own, os.path.join(own, "cache")])
    for chain in chains:
        try:
            for folder in chain:
                if make:
                    os.makedirs(folder, 0o700, exist_ok=True)
                private(folder)
            if os.access(chain[-1], os.W_OK | os.X_OK):
                yield chain[-1]
            else:
                refused.append(chain[-1] + ": not writable")
        except OSError as error:
            refused.append(f"{chain[-1]}: {error.strerror or error}")


def private(folder: str) -> None:
    """See to it that `folder` is this user's and 0700: in /tmp anybody may have made it."""
    info = os.lstat(folder)
    if info.st_mode & 0o170000 != 0o040000 or info.st_uid != os.getuid():
        raise OSError("not a folder of this user's")
    if info.st_mode & 0o077:
        os.chmod(folder, 0o700)


def read_bundle() -> bytes:
    """The bundle from stdin: a line with its length and sha256, and its bytes."""
    import hashlib

    header = b""
    while header[-1:] != b"\n":
        byte = os.read(0, 1)
        if not byte or len(header) > 100:
            raise Failed("the helper was not sent", "connect again")
        header += byte
    length, digest = header.decode().split()
    data = bytearray()
    while len(data) < int(length):
        chunk = os.read(0, min(CHUNK, int(length) - len(data)))
        if not chunk:
            raise Failed("the connection ended while the helper was sent", "connect again")
        data += chunk
    if hashlib.sha256(data).hexdigest() != digest:
        raise Failed("the helper arrived damaged", "connect again")
    return zlib.decompress(data)


def unpack(archive: bytes, name: str, *, fresh: bool) -> str:
    """Unpack into the first folder that takes it; a rename publishes it whole."""
    refused: list[str] = []
    for folder in cache_folders(refused, make=True):
        temporary = os.path.join(folder, ".new-" + binascii.hexlify(os.urandom(6)).decode())
        try:
            write_files(archive, temporary)
            publish(temporary, os.path.join(folder, name), fresh=fresh)
        except OSError as error:
            remove(temporary)
            refused.append(f"{folder}: {error.strerror or error}")
            continue
        prune(folder, name)
        return os.path.join(folder, name)
    raise Failed(
        "no folder for the helper: " + "; ".join(refused),
        "make room in one of them, or set TMPDIR on the node",
    )


def write_files(archive: bytes, folder: str) -> None:
    """The archive's layout is in gswarm_tui/connect/bundle.py."""
    length = int.from_bytes(archive[:4], "big")
    position = 4 + length
    made = set()
    for line in archive[4:position].decode().splitlines():
        size, path = line.split(" ", 1)
        target = os.path.join(folder, path)
        parent = os.path.dirname(target)
        if parent not in made:
            os.makedirs(parent, 0o700, exist_ok=True)
            made.add(parent)
        write_file(target, archive[position : position + int(size)])
        position += int(size)
    write_file(os.path.join(folder, INDEX), archive[4 : 4 + length])


def write_file(path: str, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        while content:
            content = content[os.write(file, content) :]
    finally:
        os.close(file)


def publish(temporary: str, target: str, *, fresh: bool) -> None:
    """Make `temporary` the `target`; where another controller was faster, its files are as good."""
    aside = temporary + "-old"
    if fresh and os.path.exists(target):
        os.rename(target, aside)
    try:
        os.rename(temporary, target)
    except OSError:
        if not os.path.exists(os.path.join(target, LAUNCHER)):
            raise
        remove(temporary)
    remove(aside)


def prune(folder: str, current: str) -> None:
    """Remove old bundles: not the newest few, and none whose lock a helper holds."""
    found = []
    for name in os.listdir(folder):
        try:
            found.append((os.stat(os.path.join(folder, name)).st_mtime, name))
        except OSError:
            pass
    kept = 1
    for changed, name in sorted(found, reverse=True):
        path = os.path.join(folder, name)
        if name.startswith(".new-"):
            if changed < time.time() - 86400:
                remove(path)
        elif name != current:
            kept += 1
            if kept > KEPT_BUNDLES and lock(path, fcntl.LOCK_EX) is not None:
                remove(path)


def lock(bundle: str, kind: int) -> int | None:
    """A descriptor that holds the bundle's lock, or None where it is held against us."""
    try:
        held = os.open(os.path.join(bundle, "bundle.json"), os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(held, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


def remove(folder: str) -> None:
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in files:
            unlink(os.path.join(parent, name), os.unlink)
        for name in folders:
            unlink(os.path.join(parent, name), os.rmdir)
    unlink(folder, os.rmdir)


def unlink(path: str, how: Callable[[str], None]) -> None:
    try:
        how(path)
    except OSError:
        pass


# The helper


def start(bundle: str, asked: dict[str, Any]) -> bytes:
    """Start the helper in a session of its own; return its line, which says where it listens."""
    log = os.path.join(bundle, f"start-{zlib.crc32(os.fsencode(asked['root'])):08x}.log")
    command = [sys.executable, "-I", "-S", os.path.join(bundle, LAUNCHER), "--root", asked["root"]]
    # Not from the bundle, which an older checkout with the same sources may have left here.
    command += ["--built", "{} {}".format(*asked["built"])]
    if asked["idle_exit"] is not None:
        command += ["--idle-exit", str(asked["idle_exit"])]
    ready, given = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                become_helper(bundle, command, given, log)
        except OSError as error:
            os.write(2, f"{error}\n".encode())
        finally:
            os._exit(0)
    os.close(given)
    os.waitpid(child, 0)
    line = read_line(ready)
    os.close(ready)
    if not line:
        raise Failed("the helper did not start: " + tail(log), "the whole of it is in " + log)
    os.utime(bundle)
    return line


def become_helper(bundle: str, command: list[str], given: int, log: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.set_inheritable(given, True)
    held = lock(bundle, fcntl.LOCK_SH)  # for as long as the helper lives: see prune
    if held is not None:
        os.set_inheritable(held, True)
    environment = {key: os.environ[key] for key in os.environ if not key.startswith("SSH_")}
    os.chdir("/")
    os.execve(command[0], [*command, "--ready-fd", str(given)], environment)  # noqa: S606


def read_line(descriptor: int) -> bytes:
    """One line, without its end; nothing where the other end was closed or stays silent."""
    line = b""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + START_TIMEOUT_S
    while line[-1:] != b"\n":
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return b""
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return b""
        line += chunk
    return line[:-1]


def tail(path: str) -> str:
    try:
        with open(path, "rb") as file:
            text = file.read()[-2000:].decode("utf-8", "replace").strip()
    except OSError as error:
        return str(error)
    return text.splitlines()[-1] if text else "it said nothing"


def end_helper(pid: int, path: str) -> None:
    """TERM, then KILL: a helper journals what it does, and engines are in sessions of their own.

    Does nothing where the process is not the one that listens at `path`: it has ended since, and
    its number is another's, or it is on another machine behind the same name.
    """
    if sys.platform == "linux" and listener(path) != pid:
        return
    born = birth(pid)
    for number, timeout in ((15, TERM_TIMEOUT_S), (9, TERM_TIMEOUT_S)):
        deadline = time.monotonic() + timeout
        if birth(pid) != born:
            return
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        except PermissionError:
            raise Failed(f"process {pid} is another user's", "connect again") from None
        while time.monotonic() < deadline:
            if not alive(pid):
                return
            time.sleep(0.02)
    raise Failed(f"the old helper, process {pid}, does not end", "end it there with kill -9")


def listener(path: str) -> int | None:
    """The process that listens on the Unix socket, stuck or not. Linux: unix(7), SO_PEERCRED."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.settimeout(TERM_TIMEOUT_S)
        sock.connect(path)
        credentials = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    except OSError:
        return None
    finally:
        sock.close()
    return int.from_bytes(credentials[:4], sys.byteorder)


def birth(pid: int) -> bytes | None:
    """When the process began, in ticks since boot; None where that cannot be told."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rsplit(b")", 1)[1].split()[19]
    except OSError:
        return None


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rsplit(b")", 1)[1].split()[0] != b"Z"
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return not os.path.exists("/proc/self/stat")  # there, the file would have been


# The bridge


def socket_in(line: bytes) -> str:
    import json  # the helper's own line; slow to load, and only bridges need it

    return str(json.loads(line).get("socket"))


def connect(path: str) -> _socket.socket | None:
    """A connection to the Unix socket, or None where nobody answers."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        return None
    return sock


def carry(sock: _socket.socket) -> None:
    """Carry bytes both ways until the helper closes; the end of our input is passed on to it."""
    _thread.start_new_thread(carry_in, (sock,))
    try:
        while True:
            data = sock.recv(CHUNK)
            if not data:
                break
            write(data)
    except OSError:
        pass  # one side is gone, and that is the end
    os._exit(0)


def carry_in(sock: _socket.socket) -> None:
    try:
        while True:
            data = os.read(0, CHUNK)
            if not data:
                break
            sock.sendall(data)
        sock.shutdown(_socket.SHUT_WR)
    except OSError:
        os._exit(0)
