"""What the system knows of a process that a GPU's driver names: whose it is, and what it runs.

Source: proc(5), cgroups(7). What cannot be read, because the process has ended, is another's under
hidepid, or is in a PID namespace that is not ours, is None.

In a container with PIDs of its own a driver may name the host's, and such a number may be another
process here. So only a process that has a GPU's device open is taken for the one that is meant, and
nothing is told of others: they are not `verified`, and nobody may signal them.
"""

from __future__ import annotations

import functools
import os
import pwd
import re
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .. import processtable

Facts = Dict[str, Any]

MAX_COMMAND = 300
"""Characters of a command line that are told."""

_FRESH_S = 10.0  # a pid is not looked at again for so long: it will hardly be another's by then
_GONE: Facts = {"user": None, "command": None, "unit": None, "since": None}

# Source: PROC_PID_INIT_INO, 0xEFFFFFFC, in the kernel's include/linux/proc_ns.h.
_INITIAL_NAMESPACE = "pid:[4026531836]"

# The words before a container's id in the name of its cgroup, with systemd's and without.
_CONTAINERS = (
    (re.compile(r"docker[-/]([0-9a-f]{12})[0-9a-f]{52}"), "docker"),
    (re.compile(r"libpod-([0-9a-f]{12})[0-9a-f]{52}"), "podman"),
    (re.compile(r"kubepods.*[-/]([0-9a-f]{12})[0-9a-f]{52}"), "k8s"),
    (re.compile(r"(?:cri-containerd|crio|cri-o)-([0-9a-f]{12})[0-9a-f]{52}"), "k8s"),
    (re.compile(r"lxc\.payload\.([^/]+)"), "lxc"),
    (re.compile(r"slurm\S*/job_([0-9]+)"), "slurm job"),
)
# An option whose value nobody else should read, and an assignment to such a variable.
_HUSHED = (
    r"(?:password|passwd|passphrase|secret|credentials?|api[-_]?keys?|access[-_]?keys?"
    r"|private[-_]?key|secret[-_]?key|auth[-_]?key|token)"
)
_SECRET_OPTION = re.compile(rf"(--?(?:[\w-]+[-_])?{_HUSHED})(=.*)?", re.IGNORECASE | re.DOTALL)
_SECRET_VALUE = re.compile(
    rf"""((?:^|[^\w-])["']?(?:\w+[-_])?{_HUSHED}["']?\s*[=:]\s*["']?)[^\s"',;&]+""",
    re.IGNORECASE,
)
_SECRET_SHAPE = re.compile(
    r"\b(?:hf_|sk-|ghp_|gho_|github_pat_|glpat-|xox[abp]-|AKIA)[A-Za-z0-9_-]{8,}"
    r"|(?<=Bearer )\S+|(?<=://)[^\s/@]+(?=@)"
)
_HIDDEN = "***"
_SYSTEMD = re.compile(r"/([^/]+\.(?:service|scope))(?=/|$)")


class Table:
    """Facts about processes, kept for as long as somebody asks about them."""

    def __init__(self) -> None:
        self._known: Dict[int, Tuple[float, float, Facts]] = {}
        self._booted = _boot_time()
        self._is_initial = _link(processtable.PROC / "self/ns/pid") == _INITIAL_NAMESPACE

    def facts(self, pid: int) -> Facts:
        """``user``, ``command``, ``unit`` (a container or a systemd unit), ``since``, ``verified``:
        whether the number is this process's here.
        """
        now = time.monotonic()
        known = self._known.get(pid)
        if known is not None and now - known[0] < _FRESH_S:
            return known[2]
        entry = processtable.entry(pid)
        started = -1.0 if entry is None else entry.start_time
        if known is not None and known[1] == started:
            facts = known[2]
        else:
            facts = self._look(pid, None if entry is None else started)
        self._known[pid] = (now, started, facts)
        if len(self._known) > 4096:
            self._known = {p: k for p, k in self._known.items() if now - k[0] < 2 * _FRESH_S}
        return facts

    def _look(self, pid: int, started: Optional[float]) -> Facts:
        verified = self._is_initial or (started is not None and _has_gpu_open(pid))
        if started is None or not verified:
            return {**_GONE, "verified": verified}
        return {
            "user": _user(pid),
            "command": harmless(processtable.command_line(pid))[:MAX_COMMAND] or None,
            "unit": unit_of(_read(pid, "cgroup")),
            "since": None if self._booted is None else self._booted + started / _TICKS,
            "verified": verified,
        }


def harmless(words: Sequence[str]) -> str:
    """A command line without what is obviously a secret: everybody who watches is shown it.

    That is the value of ``--api-key``, ``--hf-token`` and the like, of ``WANDB_API_KEY=``, a token
    that is known by how it begins, and who logs in by a URL.
    """
    shown: List[str] = []
    hidden = False
    for word in (each[:MAX_COMMAND] for each in words[:MAX_COMMAND]):
        option = _SECRET_OPTION.fullmatch(word)
        if hidden and not word.startswith("--"):
            shown.append(_HIDDEN)
            hidden = False
        elif option is not None:
            shown.append(option[1] + (f"={_HIDDEN}" if option[2] else ""))
            hidden = not option[2]
        else:
            shown.append(_SECRET_SHAPE.sub(_HIDDEN, _SECRET_VALUE.sub(rf"\1{_HIDDEN}", word)))
            hidden = False
    return " ".join(shown)


def unit_of(cgroups: str) -> Optional[str]:
    """``docker 9b1c44e0a7d2``, ``slurm job 7``, ``vllm.service``; None for a bare process.

    Args:
        cgroups: /proc/PID/cgroup.
    """
    for pattern, word in _CONTAINERS:
        match = pattern.search(cgroups)
        if match is not None:
            return f"{word} {match[1]}"
    units: List[str] = []
    for line in cgroups.splitlines():
        units += _SYSTEMD.findall(line)
    return units[-1] if units else None


_TICKS = os.sysconf("SC_CLK_TCK")


def _boot_time() -> Optional[float]:
    try:
        lines = (processtable.PROC / "stat").read_text().splitlines()
    except OSError:
        return None
    found = [float(line.split()[1]) for line in lines if line.startswith("btime ")]
    return found[0] if found else None


def _has_gpu_open(pid: int) -> bool:
    """Whether it has a device of NVIDIA's driver open; False where its files cannot be seen."""
    try:
        files = list((processtable.PROC / str(pid) / "fd").iterdir())
    except OSError:
        return False
    return any(_link(file).startswith("/dev/nvidia") for file in files)


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _read(pid: int, name: str) -> str:
    try:
        return (processtable.PROC / str(pid) / name).read_text(errors="replace")
    except OSError:
        return ""


def _user(pid: int) -> Optional[str]:
    try:
        return _name((processtable.PROC / str(pid)).stat().st_uid)
    except OSError:
        return None


@functools.lru_cache(maxsize=1024)
def _name(owner: int) -> str:
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return str(owner)
