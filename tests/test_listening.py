"""Servers of HTTP on this machine."""

from __future__ import annotations

import os
import socket

import pytest

from gswarm_tui.errors import GswarmError, UsageError
from gswarm_tui.listening import bind, refuse_open, url_of
from gswarm_tui.loopback import is_loopback


def test_a_port_that_is_taken_names_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(GswarmError, match=f"127.0.0.1:{port} is taken") as raised:
            bind("127.0.0.1", port)
    assert f"process {os.getpid()}" in str(raised.value)


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(UsageError, match="is no address of this machine"):
        bind("no-such-host.invalid", 0)


@pytest.mark.parametrize(
    ("host", "token"), [("127.0.0.1", None), ("[::1]", None), ("0.0.0.0", "secret")]
)
def test_who_may_be_answered(host: str, token: str | None) -> None:
    refuse_open(host, token, "would tell everybody")


def test_everybody_is_not_answered() -> None:
    with pytest.raises(UsageError, match=r"0\.0\.0\.0 can be reached by others, and would tell"):
        refuse_open("0.0.0.0", None, "would tell everybody")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("::", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_url_of() -> None:
    assert url_of("127.0.0.1", 80) == "http://127.0.0.1:80"
    assert url_of("[::1]", 8000) == "http://[::1]:8000"
    assert url_of("0.0.0.0", 1) == f"http://{socket.gethostname()}:1"
