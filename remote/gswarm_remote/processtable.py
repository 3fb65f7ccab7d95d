"""The system's table of processes, as far as `process` needs it.

Linux answers from /proc; elsewhere psutil does, which the helper carries. What cannot be read,
because the process has ended or is another user's, is None or empty, never an error.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

PROC = Path("/proc")


@dataclass(frozen=True)
class Entry:
    """One process.

    Args:
        dead: it is a zombie.
        start_time: clock ticks after boot on Linux, seconds since the epoch elsewhere.
    """

    pid: int
    parent: int
    group: int
    session: int
    dead: bool
    start_time: float


if sys.platform == "linux":

    def entry(pid: int) -> Optional[Entry]:
        """The process with this id. Source: proc_pid_stat(5)."""
        try:
            line = (PROC / str(pid) / "stat").read_bytes()
        except OSError:
            return None
        # The second field, the name in parentheses, may hold spaces and parentheses itself.
        fields = line[line.rindex(b")") + 2 :].split()
        return Entry(
            pid=pid,
            parent=int(fields[1]),
            group=int(fields[2]),
            session=int(fields[3]),
            dead=fields[0] in (b"Z", b"X"),
            start_time=float(fields[19]),
        )

    def pids() -> List[int]:
        return [int(folder.name) for folder in PROC.iterdir() if folder.name.isdigit()]

    def environment(pid: int) -> Dict[str, str]:
        """What the process was started with; it may have overwritten that since."""
        try:
            raw = (PROC / str(pid) / "environ").read_bytes()
        except OSError:
            return {}
        pairs = (item.partition(b"=") for item in raw.split(b"\0"))
        return {n.decode(errors="replace"): v.decode(errors="replace") for n, _, v in pairs}

    def folder(pid: int) -> Optional[Path]:
        """Its working directory."""
        try:
            return (PROC / str(pid) / "cwd").readlink()
        except OSError:
            return None

    def command_line(pid: int) -> List[str]:
        try:
            raw = (PROC / str(pid) / "cmdline").read_bytes()
        except OSError:
            return []
        return [word.decode(errors="replace") for word in raw.rstrip(b"\0").split(b"\0")]

    def boot_id() -> str:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()

else:
    import os
    import subprocess

    import psutil

    def entry(pid: int) -> Optional[Entry]:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                return Entry(
                    pid=pid,
                    parent=process.ppid(),
                    group=os.getpgid(pid),
                    session=os.getsid(pid),
                    dead=process.status() == psutil.STATUS_ZOMBIE,
                    start_time=process.create_time(),
                )
        except (OSError, psutil.Error):
            return None

    def pids() -> List[int]:
        return psutil.pids()

    def environment(pid: int) -> Dict[str, str]:
        try:
            return psutil.Process(pid).environ()
        except (OSError, psutil.Error):
            return {}

    def folder(pid: int) -> Optional[Path]:
        try:
            return Path(psutil.Process(pid).cwd())
        except (OSError, psutil.Error):
            return None

    def command_line(pid: int) -> List[str]:
        try:
            return psutil.Process(pid).cmdline()
        except (OSError, psutil.Error):
            return []

    def boot_id() -> str:
        answer = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, check=True
        )
        return answer.stdout.decode().strip()


def entries() -> List[Entry]:
    return [found for found in map(entry, pids()) if found is not None]
