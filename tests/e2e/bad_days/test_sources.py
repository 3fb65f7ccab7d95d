"""Sources that misbehave, through all of `gswarm model download`: a line, a hint, an exit code."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Site
from .lab import WEIGHTS, Lab
from .tap import Answer, Changed, Cut, Request, Spoil, Tap, tapped

TOKEN = "hf_aSecretThatNobodyMayRead"
API = "/api/models/lab/small"
NONE = {"X-Error-Code": "RepoNotFound"}
LATER = {"Retry-After": "3600"}  # longer than a node waits for


@pytest.fixture(scope="module")
def lab(fetched: Path, cache: Path, hub: str) -> Iterator[Lab]:
    """One node for all of these tests; each has a model of its own name."""
    folder = Path(tempfile.mkdtemp(prefix="gs-"))
    folder.chmod(0o755)
    site = Site(folder, fetched)
    try:
        made = Lab(site, cache=cache, hub=hub)
        made.environment["HF_TOKEN"] = TOKEN
        made.nodes(node1={})
        yield made
    finally:
        site.end()


@pytest.fixture(autouse=True)
def _nothing_is_there(lab: Lab) -> Iterator[None]:
    """What one test has downloaded would be linked to in the next one, and not fetched."""
    yield
    shutil.rmtree(lab.store("node1"), ignore_errors=True)


def download(lab: Lab, tap: Tap, name: str) -> Any:
    source = "hf://lab/small"
    return lab.gswarm("model", "download", name, "--source", source, "--json", HF_ENDPOINT=tap.url)


def of_file(answer: Answer | Cut | Changed) -> Spoil:
    return lambda request: answer if request.file == WEIGHTS else None


def of_listing(answer: Answer | Changed) -> Spoil:
    return lambda request: answer if request.path.startswith(API) else None


def renamed(path: str) -> Changed:
    """A listing whose config.json is elsewhere."""

    def change(body: bytes) -> bytes:
        listing = json.loads(body)
        for sibling in listing["siblings"]:
            if sibling["rfilename"] == "config.json":
                sibling["rfilename"] = path
        return json.dumps(listing).encode()

    return Changed(change)


def another_byte(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


CASES: dict[str, tuple[Spoil, str, str]] = {
    "climbs": (of_listing(renamed("../config.json")), "leaves the model's folder", "nothing was"),
    "absolute": (of_listing(renamed("/etc/cron.d/x")), "is absolute", "nothing was downloaded"),
    "other-bytes": (of_file(Changed(another_byte)), "its sha256 is", "fetched anew"),
    "truncated": (
        of_file(Cut(700_000)),
        "cut off at 700000 of 1500000 bytes",
        "run the same again",
    ),
    "list-401": (of_listing(Answer(401)), "does not accept the token", "set HF_TOKEN"),
    "list-403": (of_listing(Answer(403)), "forbids it", "what the token may read"),
    "list-404": (of_listing(Answer(404, NONE)), "has no such repository", "check its spelling"),
    "list-418": (of_listing(Answer(418)), "answered HTTP 418", "$HF_ENDPOINT"),
    "list-429": (of_listing(Answer(429, LATER)), "too many requests", "try again in 3600 s"),
    "list-500": (of_listing(Answer(500)), "fault of its own (HTTP 500)", "try again later"),
    "file-401": (of_file(Answer(401)), "401 Unauthorized", "check HF_TOKEN"),
    "file-403": (of_file(Answer(403)), "403 Forbidden", "accept the licence"),
    "file-404": (of_file(Answer(404)), "404 Not Found", "run the same again"),
    "file-429": (of_file(Answer(429, LATER)), "asks to wait 3600 s", "wait some minutes"),
    "file-503": (of_file(Answer(503, LATER)), "503 Service Unavailable", "fault is the source's"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_source_may_do(lab: Lab, tap: Tap, name: str) -> None:
    spoil, error, hint = CASES[name]
    tap.spoil = spoil
    ended = download(lab, tap, name)
    assert (ended.code, ended.stdout) == (1, "")
    message, advice = ended.error
    assert error in message
    assert hint in advice
    assert TOKEN not in ended.stderr
    assert not (lab.store("node1") / name).exists()
    assert list(lab.folder.rglob("cron.d")) == []


def test_a_connection_that_is_cut_once_is_no_error(lab: Lab, tap: Tap) -> None:
    cuts = iter([Cut(700_000)])
    tap.spoil = lambda request: next(cuts, None) if request.file == WEIGHTS else None
    ended = download(lab, tap, "cut-once")
    assert ended.code == 0, ended
    assert [(it.start, it.stop) for it in tap.asked(WEIGHTS)] == [
        (0, 1_500_000),
        (700_000, 1_500_000),
    ]


def test_what_was_wrong_is_fetched_again_and_nothing_else(lab: Lab, tap: Tap) -> None:
    tap.spoil = of_file(Changed(another_byte))
    assert download(lab, tap, "mended").code == 1
    so_far = len(tap.requests)
    tap.spoil = None
    assert download(lab, tap, "mended").code == 0
    assert {request.file for request in tap.requests[so_far:]} == {None, WEIGHTS}


def test_a_redirect_to_another_host_gets_no_token(lab: Lab, tap: Tap, hub: str) -> None:
    with tapped(hub, address="127.0.0.2") as elsewhere:
        tap.spoil = lambda request: (
            Answer(302, {"Location": elsewhere.url + request.path})
            if request.file == WEIGHTS
            else None
        )
        ended = download(lab, tap, "redirected")
        assert ended.code == 0, ended
        assert {request.token for request in tap.asked(WEIGHTS)} == {f"Bearer {TOKEN}"}
        assert {request.token for request in elsewhere.asked(WEIGHTS)} == {None}


def test_a_token_is_nowhere_but_in_requests(lab: Lab, tap: Tap) -> None:
    """Where it is needed, refused, and carried by a playbook; nothing of that is left anywhere."""

    def guard(request: Request) -> Answer | None:
        return None if request.token == f"Bearer {TOKEN}" else Answer(401)

    action = {
        "action_id": "fetch",
        "action_type": "download",
        "model_name": "guarded",
        "source": "hf://lab/small",
        "device": "node1:disk",
    }
    serve = {
        "action_id": "serve",
        "action_type": "serve",
        "model_name": "guarded",
        "device": "node1:dram",
        "engine": "command",
        "config": lab.engine(),
        "dependencies": ["fetch"],
    }
    with command_lines() as seen:
        tap.spoil = of_file(Answer(403))
        refused = lab.gswarm("run", lab.playbook(action), HF_ENDPOINT=tap.url)
        tap.spoil = guard
        done = lab.gswarm("run", lab.playbook(action, serve), HF_ENDPOINT=tap.url)
    assert (refused.code, done.code) == (1, 0), (refused, done)
    # huggingface_hub asks for something of its own as well, without a token.
    tokens = {request.token for request in tap.requests if "/lab/small" in request.path}
    assert tokens == {f"Bearer {TOKEN}"}
    assert any(b"gswarm_helper.py" in line for line in seen)
    assert [line for line in seen if TOKEN.encode() in line] == []
    (engine,) = lab.engines()
    assert TOKEN.encode() not in Path(f"/proc/{engine}/environ").read_bytes()
    assert holding(TOKEN, lab.folder) == []
    assert holding(TOKEN, Path(lab.environment["XDG_CACHE_HOME"])) == []
    assert lab.gswarm("model", "stop", "guarded").code == 0
    assert lab.gswarm("model", "delete", "guarded", "--device", "dram", "--force").code == 0


@contextmanager
def command_lines() -> Iterator[set[bytes]]:
    """Every command line that is seen on this machine while the block runs."""
    seen: set[bytes] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            for process in Path("/proc").iterdir():
                if process.name.isdigit():
                    try:
                        seen.add((process / "cmdline").read_bytes())
                    except OSError:
                        continue

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def holding(text: str, folder: Path) -> list[Path]:
    """The files below a folder that hold a text; the database's log is among them."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert any(path.suffix == ".db" for path in files) or "cache" in folder.name
    return [path for path in files if text.encode() in path.read_bytes()]
