"""The lock files of a machine's leases, and who holds each.

::

    /tmp/gswarm-leases/                 for all users of the machine, like /tmp itself: 1777
        gpu-GPU-<uuid>.lock             held by a helper while a task needs the GPU
        gpu-GPU-<uuid>.engine           held by an engine's own process for as long as it lives
        model-<digest>.lock             the files of one model in one models folder
        <lock>.<pid>-<number>.who       who holds it: one for each holder, written by nobody else

What counts is the kernel's lock. A ``.who`` only makes sentences of it, and is believed only while
its process lives and is its file's owner's.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import pwd
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..errors import HelperError, Kind
from ..flocks import flock, is_still
from ..process import ProcessRecord

SOMEBODY = "another user's helper"

_SHARED_MODE = 0o1777
_LONGEST_RECORD = 4096
_LONGEST_WORD = 120
_UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError),
    *(OverflowError, RecursionError),  # numbers without end, a thousand brackets
)
"""What a record can raise: anybody may have written it."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, as its record says.

    Args:
        task: the key of the task that it is held for, where it is held for one.
        words: who that is, to be shown.
        ours: it is held by a process of this user.
    """

    task: Optional[str]
    words: str
    ours: bool


class Held:
    """A lock that is held, with its record."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self._record: Optional[Path] = None

    def sign(self, record: Mapping[str, Any], process: Optional[ProcessRecord] = None) -> None:
        """Say who holds it; best effort, for the lock is what counts."""
        holder = process or ProcessRecord.of(os.getpid())
        if holder is None:
            return
        path = self.path.with_name(f"{self.path.name}.{holder.pid}-{next(_numbers)}.who")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()  # of an earlier process with this pid
            descriptor = os.open(path, flags, 0o644)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(descriptor, 0o644)
                json.dump({**record, "process": holder.to_dict()}, file)
            self._record = path

    def release(self) -> None:
        """Let go, and remove what nobody else uses."""
        with contextlib.suppress(OSError):
            if self._record is not None:
                self._record.unlink()
        with contextlib.suppress(OSError):
            if flock(self.descriptor, self.path) and is_still(self.descriptor, self.path):
                self.path.unlink()  # whoever has it open sees that, and opens it anew
        self.close()

    def close(self) -> None:
        """Close the descriptor here; a process that inherited it holds the lock on."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def folder() -> Path:
    """The folder of all users' leases, made if it is not there.

    Raises:
        HelperError: what is there is no folder that users can share.
    """
    path = Path(os.environ.get("GSWARM_LEASE_DIR") or "/tmp/gswarm-leases")  # noqa: S108 - checked
    if not os.path.lexists(path):
        _make(path)
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or stat.S_IMODE(info.st_mode) != _SHARED_MODE:
        raise HelperError(
            Kind.PERMISSION,
            "this is no folder for the leases of all users of the machine",
            where=str(path),
            hint="see who made it with ls -ld, and have it removed",
        )
    return path


def _make(path: Path) -> None:
    """Make the folder, so that nobody ever sees it with another mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f"{path.name}.", dir=path.parent))
    made.chmod(_SHARED_MODE)
    try:
        made.rename(path)
    except OSError:  # somebody was faster
        made.rmdir()


def gpu_name(uuid: str) -> str:
    """The name of a GPU's lock, without its ending."""
    if re.fullmatch(r"[A-Za-z0-9-]{1,80}", uuid):
        return f"gpu-{uuid}"
    return f"gpu-{hashlib.sha256(uuid.encode()).hexdigest()[:32]}"


def model_name(root: str, tier: str, name: str) -> str:
    """The name of the lock of a model's files in the models folder `root`, without its ending."""
    return f"model-{hashlib.sha256(chr(0).join((root, tier, name)).encode()).hexdigest()[:32]}"


def try_hold(path: Path, *, shared: bool = False) -> Optional[Held]:
    """Take a lock, or return None where somebody else has it.

    Raises:
        OSError: the file cannot be made or opened.
    """
    while True:
        descriptor = _open(path)
        try:
            taken = flock(descriptor, path, shared=shared)
            still = is_still(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        if taken is not None and still:
            return Held(path, descriptor)
        os.close(descriptor)
        if still:
            return None


def holders(path: Path) -> List[Holder]:
    """Those who hold a lock and say so, and of what they say only what can be true."""
    found = []
    for record in path.parent.glob(f"{path.name}.*.who"):
        with contextlib.suppress(*_UNREADABLE):
            content, owner = _read(record)
            process = ProcessRecord.from_dict(content["process"])
            if not process.alive():
                if owner == os.getuid():
                    record.unlink()
            elif _owner_of(process.pid) in (owner, None):  # None: there is no /proc
                task = content.get("task")
                words = _words(content, process.pid, owner)
                found.append(
                    Holder(task if isinstance(task, str) else None, words, owner == os.getuid())
                )
    return found


def holder(path: Path) -> str:
    """Who holds a lock, in words."""
    known = holders(path)
    if known:
        more = f" and {len(known) - 1} more" if len(known) > 1 else ""
        return known[0].words + more
    pid = _pid_in_kernel(path)
    owner = None if pid is None else _owner_of(pid)
    return SOMEBODY if pid is None or owner is None else f"process {pid} of {user_name(owner)}"


def clean(value: object, longest: int = _LONGEST_WORD) -> str:
    """A word that others gave, fit to be shown: one line, nothing that steers a terminal."""
    text = value if isinstance(value, str) else ""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[:4096])
    return " ".join(printable.split())[:longest]


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError):
        return f"user {uid}"


def _words(content: Mapping[str, Any], pid: int, owner: int) -> str:
    who = content["who"]
    if "engine" in who:
        of = f"{clean(who['engine'])} of {clean(who.get('model'))}"
        return f"{of} ({user_name(owner)}, process {pid})"
    return job_words(who)


def job_words(who: Mapping[str, Any]) -> str:
    """``job 17 of ana@laptop (serve llama-7b)``, as far as it is known."""
    job = who.get("job")
    number = f"job {job}" if isinstance(job, int) else "a job"
    user, host, does = (clean(who.get(key)) for key in ("user", "host", "does"))
    place = f" of {user}@{host}" if user and host else ""
    return number + place + (f" ({does})" if does else "")


def _open(path: Path) -> int:
    """Open a lock for reading, which is enough to lock it, also where another user made it.

    Only a file that is not there is made: the kernel refuses O_CREAT of another user's file in a
    sticky folder (fs.protected_regular, sysctl).
    """
    common = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, common)
            break
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, common | os.O_CREAT | os.O_EXCL, 0o644)
            os.fchmod(descriptor, 0o644)
            break
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise HelperError(Kind.PERMISSION, "this is no lock file", where=str(path))


def _read(path: Path) -> Tuple[Dict[str, Any], int]:
    """A record and its file's owner."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        owner = os.fstat(descriptor).st_uid
        content = json.loads(os.read(descriptor, _LONGEST_RECORD))
    finally:
        os.close(descriptor)
    return content, owner


def _owner_of(pid: int) -> Optional[int]:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def _pid_in_kernel(path: Path) -> Optional[int]:
    """The process that took a flock. Source: proc_locks(5)."""
    try:
        inode = path.stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        if "FLOCK" in fields and "->" not in fields and fields[5].rpartition(":")[2] == str(inode):
            return int(fields[4])
    return None
