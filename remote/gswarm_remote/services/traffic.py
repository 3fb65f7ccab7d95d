"""What a forwarder sees of the requests that it passes on, whatever engine is behind it.

It counts, and keeps the sums in a file of fixed size, written in place: whoever looks needs nobody
to answer. Of an answer no more is read than tells its length in tokens: how many events a stream
has, and the ``usage`` that may stand at the end (OpenAI's API, and the ones that are like it).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import threading
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Callable, Dict, Optional

log = logging.getLogger("gswarm.forwarder")

WRITE_S = 0.25
"""So late may be what the file says of an answer that is under way."""

_CLOSE_S = 1.0
_DIGITS = 20
_MOST = 2**63 - 1  # what a frame can hold
_TAIL = 2048  # bytes before the end of an answer, in which its usage is looked for
_EVENT = b"\ndata:"
_LAST_EVENT = b"[DONE]"
# In a text that a model wrote the quotes are escaped, so nothing of that looks like it.
_USAGE = b'"usage"'
_WRITTEN = re.compile(rb'"(?:completion|output)_tokens"\s*:\s*(\d{1,12})\b')
_READ = re.compile(rb'"(?:prompt|input)_tokens"\s*:\s*(\d{1,12})\b')


@dataclass
class Totals:
    """Sums since the forwarder began, but `running`; only `Traffic` changes them.

    Attributes:
        requests: that were passed on.
        running: that are not answered to the end yet.
        streams: streamed answers whose first event came.
        first_event_us: microseconds until then, of all of them.
        tokens: written; of a stream the events, until its usage says it better.
        usages: answers that told their usage.
        prompt_tokens: read, as far as usages say.
    """

    requests: int = 0
    running: int = 0
    streams: int = 0
    first_event_us: int = 0
    tokens: int = 0
    usages: int = 0
    prompt_tokens: int = 0

    def to_dict(self) -> Dict[str, int]:
        return dict(vars(self))


def read(path: Path) -> Totals:
    """What a forwarder has counted; nothing where it has not begun to, or the file is damaged."""
    try:
        numbers = [int(word) for word in path.read_bytes().split()]
    except (OSError, ValueError):
        return Totals()
    if any(not 0 <= number <= _MOST for number in numbers):
        return Totals()
    return Totals(*numbers[: len(fields(Totals))])


class Traffic:
    """The owner of a forwarder's sums and their file."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self.totals = Totals()
        self.clock = clock
        self._file = _File(path)
        self._tokens = 0  # that the file says
        self._due: Optional[asyncio.TimerHandle] = None

    def begin(self) -> Passing:
        """Count a request that is passed on now."""
        self.totals.requests += 1
        self.totals.running += 1
        self.write()
        return Passing(self)

    def changed(self) -> None:
        """Write the sums soon."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(WRITE_S, self.write)

    def close(self) -> None:
        """Write them for the last time."""
        self.write()
        self._file.close()

    def write(self) -> None:
        """Have the sums written now."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        totals = self.totals
        # An answer's usage may be less than its events: then the next answers make up for it.
        self._tokens = max(self._tokens, totals.tokens)
        numbers = {**vars(totals), "tokens": self._tokens}.values()
        self._file.write(b" ".join([b"%0*d" % (_DIGITS, number) for number in numbers]))


class _File:
    """What is counted, on a disk that may be full, or one of a network that hangs: a thread of its
    own writes to it, and of several contents only the newest.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = _opened(path)
        self._content = b""
        self._changed = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()

    def write(self, content: bytes) -> None:
        self._content = content
        self._changed.set()

    def close(self) -> None:
        """Wait a moment for what is to be written."""
        self._closing = True
        self._changed.set()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        ends = False
        while not ends:
            self._changed.wait()
            self._changed.clear()
            ends = self._closing
            with contextlib.suppress(OSError):  # the next one tells the whole sums
                os.pwrite(self._descriptor, self._content, 0)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


class Passing:
    """One request on its way, and its answer; made by `Traffic.begin`."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._began = traffic.clock()
        self._reads = self._streams = False
        self._edge = b"\n"  # where an event may begin that the next bytes complete
        self._tail = b""
        self._events = 0

    def head(self, status: int, content_type: bytes) -> None:
        """Take the head of the answer."""
        kind = content_type.partition(b";")[0].strip().lower()
        self._streams = status == 200 and kind == b"text/event-stream"
        self._reads = self._streams or (status == 200 and kind == b"application/json")

    def data(self, data: bytes) -> None:
        """Take the next bytes of its body."""
        if not self._reads:
            return
        self._tail = (data if len(data) >= _TAIL else self._tail + data)[-_TAIL:]
        if self._streams:
            window = self._edge + data
            self._edge = window[1 - len(_EVENT) :]
            found = window.count(_EVENT)
            if found:
                self._count(found)

    def _count(self, events: int) -> None:
        totals = self._traffic.totals
        if not self._events:
            totals.streams += 1
            totals.first_event_us += int((self._traffic.clock() - self._began) * 1e6)
        self._events += events
        totals.tokens += events
        self._traffic.changed()

    def end(self) -> None:
        """It is answered, or will not be."""
        totals = self._traffic.totals
        totals.running -= 1
        usage = self._tail[self._tail.rfind(_USAGE) :] if _USAGE in self._tail else b""
        written, read_ = _number(_WRITTEN, usage), _number(_READ, usage)
        if written is not None:
            totals.tokens += written - self._events
        elif self._events and self._tail.rstrip().endswith(_LAST_EVENT):
            totals.tokens -= 1
        if read_ is not None:
            totals.usages += 1
            totals.prompt_tokens += read_
        self._traffic.write()


def _opened(path: Path) -> int:
    """A descriptor; -1 where it is refused, to which every write fails: to pass on goes first."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        log.warning("%s: %s; requests are not counted", path, error.strerror)
        return -1


def _number(pattern: re.Pattern[bytes], text: bytes) -> Optional[int]:
    found = pattern.search(text)
    return None if found is None else int(found[1])
