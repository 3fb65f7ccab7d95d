"""The resident process on a node.

One runs for each node root, as the SSH user. It answers on a Unix socket in a 0700 folder, does
the node's work, and exits when it has had no reason to stay for a while. Killing it is always
harmless.

It is started by stage 0 as ``python gswarm_helper.py --root ROOT --built BUILT --ready-fd N``. It
writes one line of JSON, ``{"socket": path, "pid": pid}``, to that descriptor once it answers; where
another helper holds the root's lock already, the line names that one and this process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import platform
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import paths as node_paths
from . import wire
from .errors import HelperError, Kind
from .node import Node, number_of
from .rpc import Handler, Peer

log = logging.getLogger("gswarm.helper")

IDLE_EXIT_S = 60.0
HELLO_TIMEOUT_S = 30.0
_TICK_S = 15.0  # how often reasons that nobody announces (an engine that died) are looked at
_LOCK_WAIT_S = 10.0
_PROBE_TIMEOUT_S = 5.0
_LEAVE_S = 5.0
_MAX_LOG = 1_000_000  # bytes


def main(argv: Optional[List[str]] = None) -> int:
    """Run the helper until it has no reason to stay; 0 also where another one runs already."""
    arguments = sys.argv[1:] if argv is None else argv
    # Written by stage 0 and by nobody else: argparse would be a tenth of the time to start.
    options = dict(zip(arguments[::2], arguments[1::2]))
    ready_fd = int(options["--ready-fd"]) if "--ready-fd" in options else None
    idle_exit_s = float(options.get("--idle-exit", IDLE_EXIT_S))
    try:
        located = node_paths.locate(options["--root"])
        lock, running = _claim(located)
        if lock is None:
            _announce(ready_fd, running)
            return 0
        _log_to(located.logs / "helper.log")
        release, _, modified = options.get("--built", "0 0").partition(" ")
        built = (release, int(modified))
        asyncio.run(_serve(located, lock, ready_fd, built=built, idle_exit_s=idle_exit_s))
    except HelperError as error:
        _announce(ready_fd, {"error": error.to_wire()})
        return 1
    return 0


async def _serve(
    located: node_paths.Paths, lock: int, ready_fd: Optional[int], **settings: Any
) -> None:
    """Make the helper inside its loop, to which an asyncio.Event belongs before Python 3.10."""
    await Helper(located, lock, **settings).run(ready_fd)


class Helper:
    """Listens, answers, and knows when to go.

    Args:
        lock: the descriptor that holds the root's lock.
        built: the release and the time of its newest source, in seconds, as the controller that
            started this helper has it: which of two helpers is the newer one.
        idle_exit_s: how long it stays without a reason.
    """

    def __init__(
        self,
        located: node_paths.Paths,
        lock: int,
        *,
        built: Tuple[str, int],
        idle_exit_s: float,
    ) -> None:
        self._paths = located
        self._lock = lock
        self._idle_exit_s = idle_exit_s
        self._started = time.monotonic()
        self._connections: Dict[asyncio.Task[Any], str] = {}
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._identity = {"hash": _bundle_hash(), "built": list(built)}
        self.node = Node(located)
        self.node.operations.on_change = self._changed.set
        self._handlers: Dict[str, Handler] = {
            **self.node.handlers(),
            "helper.exit": self._exit,
        }

    async def run(self, ready_fd: Optional[int]) -> None:
        """Listen until there is no reason to stay, or TERM.

        Raises:
            HelperError: the socket cannot be made.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self.node.start(helper_facts=self._facts)
        path = self._paths.socket
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        server = await asyncio.start_unix_server(self._connected, path=str(path), limit=2**20)
        path.chmod(0o600)
        ours = path.stat()
        _write_lock(self._lock, {"socket": str(path), "pid": os.getpid()})
        _announce(ready_fd, {"socket": str(path), "pid": os.getpid()})
        log.info("listening on %s, hash %s", path, self._identity["hash"])
        try:
            await self._until_idle()
        finally:
            server.close()
            _unlink_if(path, ours)
            for task in list(self._connections):
                task.cancel()
            ending = asyncio.ensure_future(self.node.stop())
            _, stuck = await asyncio.wait([ending], timeout=_LEAVE_S)
            # Held until this process ends: see _take_lock.
            _unlink_if(self._paths.lock, os.fstat(self._lock))
            log.info("gone")
            if stuck:  # a thread hangs in the kernel, on a dead NFS say; journals are what counts
                logging.shutdown()
                os._exit(0)

    def reasons(self) -> List[str]:
        """Why this helper stays, in words; empty when it may go."""
        connections = len(self._connections)
        reasons = [number_of(connections, "connection")] if connections else []
        return reasons + self.node.reasons()

    async def _until_idle(self) -> None:
        idle_since: Optional[float] = None
        while not self._stop.is_set():
            self._changed.clear()
            now = time.monotonic()
            wait = _TICK_S
            if self.reasons():
                idle_since = None
            else:
                idle_since = now if idle_since is None else idle_since
                wait = idle_since + self._idle_exit_s - now
                if wait <= 0:
                    return
            await _first(self._stop.wait(), self._changed.wait(), timeout=min(wait, _TICK_S))

    # Connections

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = "new"
        try:
            await self._greet(reader, writer)
        except (wire.WireError, OSError, asyncio.TimeoutError) as error:
            log.info("connection ended: %s", error or type(error).__name__)
        finally:
            del self._connections[task]
            self._changed.set()
            writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await asyncio.wait_for(wire.read(reader, limit=wire.MAX_HELLO), HELLO_TIMEOUT_S)
        if first is None:
            return
        if not isinstance(first, wire.Request) or first.method != "hello":
            raise wire.WireError("the first message is not hello")
        try:
            transfer = self._accept(first.params)
        except HelperError as error:
            await _answer(writer, wire.Response(first.id, error.to_wire(), None))
            return
        await _answer(writer, wire.Response(first.id, None, self._hello()))
        if transfer is not None:
            await transfer(reader, writer)
        else:
            await Peer(reader, writer, self._handlers).run()

    def _accept(self, hello: Dict[str, Any]) -> Optional[Callable[..., Any]]:
        """Check a hello; for a bulk connection, return what is to be done with it."""
        if hello.get("protocol") != wire.PROTOCOL:
            raise HelperError(
                Kind.PROTOCOL,
                f"this helper speaks protocol {wire.PROTOCOL}, the controller speaks"
                f" {hello.get('protocol')!r:.20}",
                hint="install the same gswarm release on the controllers that share this node",
            )
        if hello.get("role", "control") == "control":
            return None
        if hello.get("role") == "bulk":
            return self.node.bulk_session(hello.get("token"))
        raise HelperError(Kind.PROTOCOL, f"unknown role {hello.get('role')!r:.40}")

    def _hello(self) -> Dict[str, Any]:
        return {
            **self._identity,
            "protocol": wire.PROTOCOL,
            "pid": os.getpid(),
            "python": platform.python_version(),
            "root": str(self._paths.root),
            "hostname": socket.gethostname(),
            "boot_id": self.node.boot_id,
            "capabilities": sorted(self._handlers),
        }

    def _facts(self) -> Dict[str, Any]:
        return {
            "pid": os.getpid(),
            "hash": self._identity["hash"],
            "rss": _resident_bytes(),
            "uptime_s": time.monotonic() - self._started,
            "reasons": self.reasons(),
        }

    async def _exit(self, call: Any, params: Dict[str, Any]) -> Dict[str, Any]:
        """Go, unless there is work; `force` goes anyway, `drop_staged` first empties dram."""
        dropped = await self.node.drop_staged() if params.get("drop_staged") else []
        reasons = self.node.reasons()
        leaving = bool(params.get("force")) or not reasons
        if leaving:
            asyncio.get_running_loop().call_later(0.05, self._stop.set)  # after the answer is sent
        return {"exiting": leaving, "reasons": reasons, "dropped": dropped}


async def _answer(writer: asyncio.StreamWriter, response: wire.Response) -> None:
    writer.write(wire.pack(response))
    await writer.drain()


async def _first(*waits: Any, timeout: float) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _claim(located: node_paths.Paths) -> Tuple[Optional[int], Dict[str, Any]]:
    """The descriptor of the root's lock; or None, and what the helper that has it says of itself.

    Raises:
        HelperError: a process holds the lock and does not answer.
    """
    path = located.lock
    for folder in node_paths.run_folders():  # lingering may have been switched since it started
        elsewhere = _running_helper(folder / path.name)
        if elsewhere is not None:
            return None, elsewhere
    deadline = time.monotonic() + _LOCK_WAIT_S
    while time.monotonic() < deadline:
        lock = _take_lock(path)
        if lock is not None:
            return lock, {}
        running = _running_helper(path)
        if running is not None:
            return None, running
        time.sleep(0.02)
    raise HelperError(
        Kind.IN_USE,
        "another helper holds the lock of this node root and does not answer",
        where=str(path),
        hint="find it with 'fuser' on that file, end it with kill, and connect again",
    )


def _take_lock(path: Path) -> Optional[int]:
    """The descriptor that holds the root's lock, or None where another process holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_file_at(path, descriptor):
            os.ftruncate(descriptor, 0)
            return descriptor
        os.close(descriptor)  # its holder removed it as it went


def _unlink_if(path: Path, expected: os.stat_result) -> None:
    """Remove `path` if it still is the file that was ours: somebody may have made another."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(path.stat(), expected):
            path.unlink()


def _is_file_at(path: Path, descriptor: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False


def _write_lock(descriptor: int, holder: Dict[str, Any]) -> None:
    os.pwrite(descriptor, json.dumps(holder).encode() + b"\n", 0)


def _running_helper(path: Path) -> Optional[Dict[str, Any]]:
    """What the lock's holder wrote of itself, if it answers; it may just be coming or going."""
    with contextlib.suppress(ValueError, OSError, TypeError, KeyError):
        holder: Dict[str, Any] = json.loads(path.read_text())
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_PROBE_TIMEOUT_S)
            probe.connect(holder["socket"])
        return holder
    return None


def _announce(descriptor: Optional[int], line: Dict[str, Any]) -> None:
    if descriptor is None:
        return
    with contextlib.suppress(BrokenPipeError):
        os.write(descriptor, json.dumps(line).encode() + b"\n")
    os.close(descriptor)


def _bundle_hash() -> str:
    """The hash of the code that runs, from ``bundle.json`` beside it."""
    try:
        bundle = json.loads((Path(sys.argv[0]).resolve().parent / "bundle.json").read_text())
        return str(bundle["hash"])
    except (OSError, ValueError, KeyError):
        return "unbundled"


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if platform.system() == "Darwin" else peak * 1024


def _log_to(path: Path) -> None:
    """Log to `path`; the log of earlier helpers is kept until it has grown large."""
    with contextlib.suppress(OSError):
        if path.stat().st_size > _MAX_LOG:
            path.replace(path.with_suffix(".log.old"))
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger("gswarm").addHandler(handler)
    logging.getLogger("gswarm").setLevel(logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
