"""A small real engine for tests: an OpenAI-like server with an admin route, and ways to misbehave.

It is run by the engine `command`. Every request's line and body is appended to ``FOLDER/requests``;
a streamed answer's second chunk waits until ``FOLDER/go`` is there.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socketserver
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
parser.add_argument("--uds")
parser.add_argument("--folder", type=Path, required=True)
parser.add_argument("--exit", type=int, help="say a few lines and exit with this status")
parser.add_argument("--sick", action="store_true", help="never healthy")
parser.add_argument("--late", action="store_true", help="not healthy before FOLDER/go is there")
parser.add_argument("--deaf", action="store_true", help="does not care for TERM")
parser.add_argument("--worker", action="store_true", help="start a worker in another session")
options = parser.parse_args()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "somebody"

    def do_GET(self) -> None:
        self._note(b"")
        if self.path == "/health":
            late = options.late and not (options.folder / "go").exists()
            self._answer(500 if options.sick or late else 200, {})
        elif self.path == "/env":
            self._answer(200, dict(os.environ))
        else:
            self._answer(200, {"admin": True})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self._note(body)
        asked = json.loads(body)
        if asked.get("stream"):
            self._stream()
        elif asked.get("prompt") == "break off":
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            self.close_connection = True
        else:
            self._answer(200, {"choices": [{"text": "fine"}], "model": asked["model"]})

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            self._chunk(b"data: one\n\n")
            while not (options.folder / "go").exists():
                time.sleep(0.01)
                self._chunk(b": still here\n\n")
            self._chunk(b"data: two\n\n")
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            (options.folder / "gone").touch()
            self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _note(self, body: bytes) -> None:
        line = {"line": self.requestline, "headers": dict(self.headers), "body": body.decode()}
        with (options.folder / "requests").open("a") as file:
            file.write(json.dumps(line) + "\n")


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


options.folder.mkdir(exist_ok=True)
if options.exit is not None:
    for number in range(30):
        print(f"line {number}")
    print("\x1b[31mCUDA out of memory\x1b[0m")
    sys.exit(options.exit)
if options.deaf:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if options.worker:
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    worker = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    (options.folder / "worker").write_text(str(worker.pid))
if options.uds:
    UnixServer(options.uds, Handler).serve_forever()
else:
    ThreadingHTTPServer(("127.0.0.1", options.port), Handler).serve_forever()
