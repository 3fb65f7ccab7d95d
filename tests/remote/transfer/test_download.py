"""`HttpSource` against a real HTTP server that misbehaves."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models import piece as piece_module
from gswarm_remote.models.manifest import Plan, PlanFile
from gswarm_remote.models.store import Store
from gswarm_remote.transfer.assemble import assemble
from gswarm_remote.transfer.download import HttpSource, Patience
from gswarm_remote.transfer.limits import Doing

DATA = random.Random(1).randbytes(100_000)
TOKEN = "Bearer hf_secret"
AT_ONCE = Patience(first_delay_s=0, longest_delay_s=0)


class Pauses(threading.Event):
    """An event that nobody has to wait for; keeps how long was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout)
        return self.is_set()


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def make_source(pauses: Pauses) -> Iterator[Callable[..., HttpSource]]:
    sources: list[HttpSource] = []

    def make(**options: Any) -> HttpSource:
        options = {"ended": pauses, "patience": AT_ONCE, **options}
        sources.append(HttpSource(**options))
        return sources[-1]

    yield make
    for source in sources:
        source.close()


@pytest.fixture
def source(make_source: Callable[..., HttpSource]) -> HttpSource:
    return make_source()


def plan_file(server: Any, **values: Any) -> PlanFile:
    """weights.bin of `server`, 100,000 bytes; its promise can be overridden."""
    server.files["/weights.bin"] = DATA
    values = {"size": len(DATA), "url": server.url("/weights.bin"), **values}
    return PlanFile("weights.bin", **values)


def fetch(source: HttpSource, file: PlanFile, offset: int = 0, length: int | None = None) -> bytes:
    got = bytearray()
    source.fetch(file, offset, length, got.extend, Doing())
    return bytes(got)


def failure(source: HttpSource, file: PlanFile, *args: Any) -> HelperError:
    with pytest.raises(HelperError) as caught:
        fetch(source, file, *args)
    return caught.value


# What is asked, and what comes


def test_a_piece_is_asked_for_with_its_range_and_no_compression(server, source):
    assert fetch(source, plan_file(server), 1000, 500) == DATA[1000:1500]
    (asked,) = server.asked
    assert asked.range == "bytes=1000-1499"
    assert asked.accept_encoding == "identity"


def test_a_file_of_unknown_size_comes_whole(server, source):
    assert fetch(source, plan_file(server, size=None)) == DATA


def test_an_empty_file_comes_whole(server, source):
    file = plan_file(server, size=None)
    server.files["/weights.bin"] = b""
    assert fetch(source, file) == b""


def test_a_server_that_sends_less_than_asked_is_asked_for_the_rest(server, source):
    def stingy(exchange: Any) -> bool:
        start, stop = exchange.span(len(DATA))
        stop = min(stop, start + 300)
        span = f"bytes {start}-{stop - 1}/{len(DATA)}"
        exchange.answer(206, DATA[start:stop], Content_Range=span)
        return True

    server.fault = stingy
    assert fetch(source, plan_file(server), 0, 1000) == DATA[:1000]
    assert server.ranges_asked()[1:] == ["bytes=300-999", "bytes=600-999", "bytes=900-999"]


def test_a_chunked_body_comes_whole(server, source):
    def chunked(exchange: Any) -> bool:
        exchange.send_response(200)
        exchange.send_header("Transfer-Encoding", "chunked")
        exchange.end_headers()
        for start in range(0, len(DATA), 30_000):
            chunk = DATA[start : start + 30_000]
            exchange.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        exchange.wfile.write(b"0\r\n\r\n")
        return True

    server.fault = chunked
    assert fetch(source, plan_file(server, size=None)) == DATA


# A network that breaks


def test_a_body_that_is_cut_is_continued_where_it_stopped(server, source):
    def cut_twice(exchange: Any) -> bool:
        if len(server.asked) <= 2:
            exchange.serve_file(cut_after=400)
            return True
        return False

    server.fault = cut_twice
    assert fetch(source, plan_file(server), 100, 1000) == DATA[100:1100]
    assert server.ranges_asked() == ["bytes=100-1099", "bytes=500-1099", "bytes=900-1099"]


def test_a_chunked_body_that_is_cut_is_not_taken_for_whole(server, source):
    def cut(exchange: Any) -> bool:
        exchange.send_response(200)
        exchange.send_header("Transfer-Encoding", "chunked")
        exchange.end_headers()
        exchange.wfile.write(b"3e8\r\n" + DATA[:500])
        exchange.close_connection = True
        return True

    server.fault = cut
    error = failure(source, plan_file(server, size=None, sha256="0" * 64))
    assert error.kind == Kind.UNREACHABLE
    assert error.message == "weights.bin: cut off at 500 bytes"


def test_a_source_that_keeps_cutting_is_given_up_with_the_bytes_counted(
    server, make_source, pauses
):
    def cut(exchange: Any) -> bool:
        exchange.serve_file(cut_after=0 if server.asked[1:] else 400)
        return True

    server.fault = cut
    error = failure(make_source(patience=Patience(attempts=4, first_delay_s=2)), plan_file(server))
    assert error.kind == Kind.UNREACHABLE
    assert error.message == "weights.bin: cut off at 400 of 100000 bytes"
    assert error.where == server.url("/weights.bin")
    assert len(server.asked) == 4
    assert [1 <= pause / 2**doubled <= 2 for doubled, pause in enumerate(pauses.pauses)] == [
        True
    ] * 3


def test_a_server_that_is_not_there_says_so(source):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    error = failure(source, PlanFile("a.bin", 5, url=f"http://127.0.0.1:{port}/a.bin?sig=secret"))
    assert error.kind == Kind.UNREACHABLE
    assert error.message == "a.bin: no connection to 127.0.0.1: Connection refused"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_source_is_asked_again(server, source, status):
    def busy_once(exchange: Any) -> bool:
        if len(server.asked) == 1:
            exchange.answer(status)
            return True
        return False

    server.fault = busy_once
    assert fetch(source, plan_file(server), 0, 10) == DATA[:10]


def test_the_pause_that_a_source_asks_for_is_kept(server, source, pauses):
    def busy_once(exchange: Any) -> bool:
        if len(server.asked) == 1:
            exchange.answer(429, Retry_After="17")
            return True
        return False

    server.fault = busy_once
    assert fetch(source, plan_file(server), 0, 10) == DATA[:10]
    assert pauses.pauses == [17.0]


def test_a_pause_that_is_too_long_is_an_error_at_once(server, source, pauses):
    server.fault = lambda exchange: exchange.answer(429, Retry_After="3600") or True
    error = failure(source, plan_file(server))
    assert error.kind == Kind.SOURCE
    assert "429 Too Many Requests, and asks to wait 3600 s" in error.message
    assert "HF_TOKEN" in error.hint
    assert len(server.asked) == 1
    assert pauses.pauses == []


# A source that says no


@pytest.mark.parametrize(
    ("status", "says", "advises"),
    [
        (401, "401 Unauthorized", "set HF_TOKEN on the controller"),
        (403, "403 Forbidden", "accept the licence"),
        (404, "404 Not Found", "run the same again"),
        (416, "416 Requested Range Not Satisfiable", "shorter there than promised"),
    ],
)
def test_a_refusal_is_final_and_says_what_to_do(server, source, status, says, advises):
    server.fault = lambda exchange: exchange.answer(status, b"<html>") or True
    file = plan_file(server, url=server.url("/weights.bin?X-Signature=secret"))
    error = failure(source, file, 0, 10)
    assert error.kind == Kind.SOURCE
    assert error.message in (
        f"weights.bin: the source answered {says}",
        f"weights.bin: the source answered {says.replace('Requested ', '')}",
    )
    assert advises in error.hint
    assert error.where == server.url("/weights.bin")
    assert len(server.asked) == 1


def test_the_hubs_own_reason_is_shown(server, source):
    reason = "Access to model org/gated is restricted\x1b[31m"
    server.fault = lambda exchange: exchange.answer(403, X_Error_Message=reason) or True
    assert (
        "(Access to model org/gated is restricted[31m)"
        in failure(source, plan_file(server)).message
    )


def test_a_source_that_stays_broken_is_an_error_with_its_status(server, source):
    server.fault = lambda exchange: exchange.answer(503) or True
    error = failure(source, plan_file(server))
    assert (error.kind, len(server.asked)) == (Kind.SOURCE, 5)
    assert "503 Service Unavailable" in error.message


def test_a_compressed_body_is_refused(server, source):
    server.fault = lambda exchange: exchange.serve_file(Content_Encoding="gzip") or True
    error = failure(source, plan_file(server), 0, 10)
    assert (error.kind, "gzip" in error.message) == (Kind.SOURCE, True)


@pytest.mark.parametrize(
    "content_range", ["bytes 1-10/100000", "bytes 0-9/5", "bytes 0-10/100000", "0-9", "bytes 0-8/*"]
)
def test_other_bytes_than_asked_for_are_refused(server, source, content_range):
    def answer(exchange: Any) -> bool:
        exchange.answer(206, DATA[:10], Content_Range=content_range)
        return True

    server.fault = answer
    assert failure(source, plan_file(server), 0, 10).kind == Kind.SOURCE


def test_a_body_whose_end_cannot_be_told_is_refused_unless_a_hash_will_tell(server, source):
    def until_close(exchange: Any) -> bool:
        exchange.send_response(200)
        exchange.send_header("Connection", "close")
        exchange.end_headers()
        exchange.wfile.write(DATA)
        return True

    server.fault = until_close
    assert "how long it is" in failure(source, plan_file(server, size=None)).message
    assert fetch(source, plan_file(server, size=None, sha256="0" * 64)) == DATA


# Another file than was promised


def test_a_file_of_another_size_is_a_mismatch(server, source):
    error = failure(source, plan_file(server, size=len(DATA) + 1), 0, 10)
    assert error.kind == Kind.MISMATCH
    assert error.message == "weights.bin: the source has 100000 bytes of it, 100001 were promised"


def test_a_file_that_changes_between_two_pieces_is_a_mismatch(server, source):
    file = plan_file(server)
    fetch(source, file, 0, 10)
    server.files["/weights.bin"] = DATA[::-1]
    error = failure(source, file, 10, 10)
    assert error.kind == Kind.MISMATCH
    assert "changed at the source" in error.message
    assert server.asked[1].if_range == server.etag(DATA)


def test_a_file_that_is_not_the_version_of_the_plan_is_a_mismatch(server, source):
    assert failure(source, plan_file(server, etag='"older"'), 0, 10).kind == Kind.MISMATCH
    assert fetch(source, plan_file(server, etag=server.etag(DATA)), 0, 0) == b""


def test_a_promised_hash_is_worth_more_than_an_etag(server, source):
    """Two machines behind one name may give one file two etags."""
    etags = iter(['"one"', '"two"'])
    server.etag = lambda data: next(etags)
    file = plan_file(server, sha256="0" * 64)
    assert fetch(source, file, 0, 10) + fetch(source, file, 10, 10) == DATA[:20]
    assert server.asked[1].if_range is None


# Redirects and the token


@pytest.fixture
def hub(start_server: Callable[[], Any], server: Any) -> Any:
    """Redirects every file to `server`, with a signature."""
    hub = start_server()

    def redirect(exchange: Any) -> bool:
        path = exchange.path.split("?")[0]
        signed = server.url(f"{path}?signature={len(hub.asked)}")
        exchange.answer(302, b"moved", Location=signed)
        return True

    hub.fault = redirect
    return hub


def hub_file(server: Any, hub: Any) -> PlanFile:
    return plan_file(server, url=hub.url("/weights.bin"), sha256="0" * 64)


def test_the_token_goes_to_its_origin_and_no_further(server, hub, make_source):
    source = make_source(authorization=TOKEN, origin=hub.origin)
    assert fetch(source, hub_file(server, hub), 0, 10) == DATA[:10]
    assert [asked.authorization for asked in hub.asked] == [TOKEN]
    assert [asked.authorization for asked in server.asked] == [None]


def test_a_token_stays_home_when_the_file_is_elsewhere(server, hub, make_source):
    source = make_source(authorization=TOKEN, origin=hub.origin)
    fetch(source, plan_file(server), 0, 10)
    assert [asked.authorization for asked in server.asked] == [None]


def test_a_token_that_was_dropped_is_not_picked_up_again(server, hub, make_source):
    def back_home(exchange: Any) -> bool:
        exchange.answer(302, Location=hub.url("/steal"))
        return True

    def first_redirects(exchange: Any) -> bool:
        if exchange.path == "/steal":
            return False
        exchange.answer(302, Location=server.url("/there"))
        return True

    server.fault, hub.fault = back_home, first_redirects
    hub.files["/steal"] = DATA
    fetch(make_source(authorization=TOKEN, origin=hub.origin), hub_file(server, hub), 0, 10)
    assert [(asked.path, asked.authorization) for asked in hub.asked] == [
        ("/weights.bin", TOKEN),
        ("/steal", None),
    ]


def test_a_relative_redirect_on_the_origin_keeps_the_token(server, make_source):
    def move(exchange: Any) -> bool:
        if exchange.path == "/weights.bin":
            exchange.answer(307, Location="cache/weights.bin")
            return True
        return False

    server.fault = move
    server.files["/cache/weights.bin"] = DATA
    source = make_source(authorization=TOKEN, origin=server.origin)
    assert fetch(source, plan_file(server), 0, 10) == DATA[:10]
    assert [asked.authorization for asked in server.asked] == [TOKEN, TOKEN]


def test_the_hub_is_asked_once_for_a_file_by_all_its_pieces(server, hub, source):
    file = hub_file(server, hub)
    got = fetch_in_threads(source, file, piece=10_000)
    assert got == DATA
    assert len(hub.asked) == 1
    assert len(server.asked) == 10


def test_a_signed_url_that_expires_is_renewed_once(server, hub, source):
    def expire(exchange: Any) -> bool:
        if exchange.path.endswith("=1") and len(server.asked) > 1:
            exchange.answer(403)
            return True
        return False

    server.fault = expire
    file = hub_file(server, hub)
    got = b"".join(fetch(source, file, offset, 10) for offset in (0, 10, 20))
    assert got == DATA[:30]
    assert len(hub.asked) == 2
    assert [asked.path[-2:] for asked in server.asked] == ["=1", "=1", "=2", "=2"]


def test_a_signed_url_that_is_refused_when_new_is_an_error_without_its_signature(
    server, hub, source
):
    file = hub_file(server, hub)
    fetch(source, file, 0, 10)
    server.fault = lambda exchange: exchange.answer(403) or True
    error = failure(source, file, 10, 10)
    assert error.kind == Kind.SOURCE
    assert error.where == server.url("/weights.bin")
    assert "signature" not in str(error.to_wire())
    assert len(hub.asked) == 2


def test_redirects_in_a_circle_end(server, source):
    server.fault = lambda exchange: exchange.answer(302, Location="/weights.bin") or True
    assert "more than 5 redirects" in failure(source, plan_file(server)).message
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://h/x", "http://", "http://h:99999/"]
)
def test_a_redirect_to_what_is_not_http_is_refused(server, source, location):
    server.fault = lambda exchange: exchange.answer(302, Location=location) or True
    assert failure(source, plan_file(server)).kind == Kind.SOURCE


# A server without ranges


def fetch_in_threads(source: HttpSource, file: PlanFile, *, piece: int, threads: int = 4) -> bytes:
    """All pieces of the file, taken in order by several threads, put together."""
    pieces: Iterator[int] = iter(range(0, len(DATA), piece))
    got: dict[int, bytes] = {}
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                offset = next(pieces, None)
            if offset is None:
                return
            got[offset] = fetch(source, file, offset, piece)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return b"".join(data for _, data in sorted(got.items()))


def test_a_server_without_ranges_sends_a_file_once_for_all_its_pieces(server, source):
    server.ranges = False
    file = plan_file(server)
    assert (
        b"".join(fetch(source, file, offset, 20_000) for offset in range(0, 100_000, 20_000))
        == DATA
    )
    assert len(server.asked) == 1


def test_pieces_wanted_by_threads_at_once_take_turns_at_a_server_without_ranges(server, source):
    server.ranges = False
    assert fetch_in_threads(source, plan_file(server), piece=5_000) == DATA
    assert len(server.asked) <= 10, "turns go to the lowest offset, not to chance"


def test_a_server_without_ranges_is_asked_again_for_what_has_gone_by(server, source):
    server.ranges = False
    file = plan_file(server)
    assert fetch(source, file, 50_000, 10) == DATA[50_000:50_010]
    assert fetch(source, file, 10, 10) == DATA[10:20]
    assert len(server.asked) == 2


def test_a_whole_body_that_is_cut_is_continued_by_skipping(server, source):
    def cut_once(exchange: Any) -> bool:
        if len(server.asked) == 1:
            exchange.serve_file(cut_after=60_000)
            return True
        return False

    server.ranges = False
    server.fault = cut_once
    assert fetch(source, plan_file(server), 50_000, 20_000) == DATA[50_000:70_000]


# The end from outside


def test_what_the_sink_raises_comes_through_and_no_byte_is_asked_for_twice(server, source):
    def full(data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        source.fetch(plan_file(server), 0, 10, full, Doing())
    assert len(server.asked) == 1


@pytest.mark.parametrize("stalls", ["before the headers", "in the body"])
def test_a_fetch_from_a_source_that_has_stalled_ends_when_it_is_aborted(
    server, make_source, stalls
):
    stalled, let_go = threading.Event(), threading.Event()

    def stall(exchange: Any) -> bool:
        if stalls == "in the body":
            exchange.send_response(200)
            exchange.send_header("Content-Length", str(len(DATA)))
            exchange.end_headers()
        stalled.set()
        let_go.wait(10)
        return True

    server.fault = stall
    source = make_source()
    caught: list[HelperError] = []
    thread = threading.Thread(target=lambda: caught.append(failure(source, plan_file(server))))
    thread.start()
    stalled.wait(5)
    source.abort()
    thread.join(5)
    let_go.set()
    assert [error.kind for error in caught] == [Kind.CANCELLED]


# Certificates and proxies


def test_a_certificate_that_nobody_vouches_for_is_an_error_with_advice(
    start_server, source, tmp_path
):
    server = start_server()
    server.socket = self_signed_context(tmp_path).wrap_socket(server.socket, server_side=True)
    url = server.url("/a.bin").replace("http:", "https:")
    error = failure(source, PlanFile("a.bin", 5, url=url))
    assert error.kind == Kind.UNREACHABLE
    assert "certificate of 127.0.0.1 was not accepted: self" in error.message
    assert "SSL_CERT_FILE" in error.hint


def self_signed_context(folder: Any) -> Any:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    arguments = ["-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run([*command.split(), *arguments], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl command")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_the_proxy_of_the_environment_is_used_but_not_for_this_machine(
    server, start_server, source, monkeypatch
):
    proxy = start_server()
    monkeypatch.setenv("http_proxy", proxy.origin.replace("//", "//user:word@"))
    monkeypatch.delenv("no_proxy", raising=False)
    proxy.files["http://models.invalid/a.bin"] = DATA
    file = PlanFile("a.bin", len(DATA), url="http://models.invalid/a.bin")
    assert fetch(source, file, 0, 10) == DATA[:10]
    assert fetch(source, plan_file(server), 0, 10) == DATA[:10]
    assert (len(proxy.asked), len(server.asked)) == (1, 1)


# A helper that is killed

KILLED = """
import sys, threading
from pathlib import Path
from gswarm_remote.models import piece as piece_module
from gswarm_remote.models.manifest import Plan
from gswarm_remote.models.store import Store
from gswarm_remote.transfer.assemble import assemble
from gswarm_remote.transfer.download import HttpSource
import json

piece_module.PIECE = int(sys.argv[3])
with Store(Path(sys.argv[1])).open_partial(Plan.from_dict(json.loads(sys.argv[2]))) as fetched:
    assemble(fetched, HttpSource(), workers=2, report=print, cancelled=threading.Event())
"""


def test_after_a_kill_no_verified_byte_is_fetched_again(server, source, tmp_path, monkeypatch):
    piece, whole = 10_000, 6
    file = plan_file(server, sha256=hashlib.sha256(DATA).hexdigest())
    plan = Plan("tiny", "main", "https://models.invalid/tiny", (file,))
    let_go = threading.Event()
    server.fault = lambda exchange: len(server.asked) > whole and let_go.wait(30)
    arguments = [str(tmp_path), json.dumps(plan.to_dict()), str(piece)]
    killed = subprocess.Popen([sys.executable, "-c", KILLED, *arguments], stdout=subprocess.DEVNULL)
    try:
        (journal,) = wait_for(lambda: list(tmp_path.glob(".gswarm/partial/*/journal")))
        wait_for(lambda: journal.read_bytes().count(b"\n") == whole)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        let_go.set()
    verified = {json.loads(line)["offset"] for line in journal.read_text().splitlines()}

    with server.lock:
        server.asked.clear()
    server.fault = lambda exchange: False
    monkeypatch.setattr(piece_module, "PIECE", piece)
    store = Store(tmp_path)
    with store.open_partial(plan) as fetched:
        manifest = assemble(fetched, source, report=lambda _: None, cancelled=threading.Event())

    assert len(verified) == whole
    again = set(range(0, len(DATA), piece)) - verified
    assert set(server.ranges_asked()) == {f"bytes={o}-{o + piece - 1}" for o in again}
    assert len(server.asked) == len(again)
    assert (store.open(manifest.name)[1] / "weights.bin").read_bytes() == DATA


def test_a_file_whose_hash_is_wrong_is_named_and_not_published(server, source, tmp_path):
    file = plan_file(server, sha256="0" * 64)
    store = Store(tmp_path)
    plan = Plan("tiny", "main", "https://models.invalid/", (file,))
    promised = r"weights\.bin of tiny is not what was promised"
    with store.open_partial(plan) as fetched, pytest.raises(HelperError, match=promised) as caught:
        assemble(fetched, source, report=lambda _: None, cancelled=threading.Event())
    assert caught.value.kind == Kind.MISMATCH
    assert [copy["state"] for copy in store.copies("disk")] == ["partial"]


def wait_for(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come to that")
