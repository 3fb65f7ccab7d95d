"""Bodies of requests as the engine gets them; a large one is parsed in a process of its own.

Parsing holds the interpreter from its first byte to its last, in whatever thread: with 32 MiB of
brackets every other user's stream would stand still for seconds, and this process would keep the
memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
from dataclasses import replace
from typing import Tuple

from .. import subprocesses
from ..http import within
from .publication import Publication, Refusal, invalid

LARGE = 1024 * 1024
"""Bytes up to which a body is parsed at once."""

_AT_ONCE = 2
_MEMORY = 2 * 1024**3  # bytes that one may take
_LONGEST_S = 30.0
_CHILD = (
    "import json, sys; sys.path[:0] = json.loads(sys.argv[1]);"
    " from gswarm_remote.services import translation; translation.main()"
)


class Translator:
    """Translates bodies for one publication, a few large ones at once."""

    def __init__(self, publication: Publication) -> None:
        self._publication = publication
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def translated(self, body: bytes) -> bytes:
        """See `Publication.translated`.

        Raises:
            Refusal: what that raises, or it takes too much time or memory.
        """
        if len(body) <= LARGE:
            return self._publication.translated(body)
        public = json.dumps(replace(self._publication, key=None).to_dict()).encode()
        async with self._places:
            status, content = await _in_a_child(public + b"\n" + body)
        if status == b"200":
            return content
        if not content:
            raise invalid("the body takes too much to parse", status=413, code="too_large")
        error = json.loads(content)["error"]
        raise Refusal(int(status), error["message"], code=error["code"], kind=error["type"])


async def _in_a_child(given: bytes) -> Tuple[bytes, bytes]:
    child = await subprocesses.start(
        *(sys.executable, "-I", "-S", "-c", _CHILD, json.dumps(sys.path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await within(_LONGEST_S, child.communicate(given))
    except asyncio.TimeoutError:
        output = b""
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    status, _, content = output.partition(b"\n")
    return status, content


def main() -> None:
    """The child: a line with the publication and then the body; out, a status and the content."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    publication = Publication.from_dict(json.loads(sys.stdin.buffer.readline()))
    try:
        status, content = 200, publication.translated(sys.stdin.buffer.read())
    except Refusal as refusal:
        status, content = refusal.status, refusal.body
    except MemoryError:
        status, content = 413, b""
    sys.stdout.buffer.write(b"%d\n" % status + content)
    sys.stdout.buffer.flush()
