"""Who may look at the screens in a browser."""

from __future__ import annotations

import pytest

from gswarm_tui.errors import UsageError
from gswarm_tui.tui.web.guard import VARIABLE, Guard, token

TOKEN = "sesame-sesame-sesame"


def test_the_token_and_the_cookie_are_two_secrets() -> None:
    guard = Guard(TOKEN, "127.0.0.1", 8000)
    assert guard.knows_token(TOKEN)
    assert not guard.knows_token("")
    assert not guard.knows_token("sésame")
    assert not guard.knows_token("\udcff")  # how bytes that are no UTF-8 arrive
    assert guard.passed != TOKEN
    assert not guard.knows_token(guard.passed)
    assert guard.knows_cookie({guard.cookie: guard.passed})
    assert not guard.knows_cookie({guard.cookie: TOKEN})
    assert not guard.knows_cookie({"gswarm-tui-8001": guard.passed})
    assert not guard.knows_cookie({})


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost:9000", "LOCALHOST", "[::1]:8000", "127.0.0.1"]
)
def test_names_of_loopback(host: str) -> None:
    assert Guard(TOKEN, "127.0.0.1", 8000).knows_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *(None, "", "evil.example", "evil.example:8000", "localhost.evil.example", "10.0.0.1:8000"),
        *("localhost:x", "a@localhost", "[::1", "localhost:8000;script-src *"),
    ],
)
def test_other_names_are_refused(host: str | None) -> None:
    assert not Guard(TOKEN, "127.0.0.1", 8000).knows_host(host)


def test_open_to_the_network_every_address_will_do_but_no_other_name() -> None:
    guard = Guard(TOKEN, "0.0.0.0", 8000)
    assert guard.knows_host("10.0.0.1:8000")
    assert guard.knows_host("localhost:8000")
    assert not guard.knows_host("evil.example:8000")


def test_a_websocket_comes_from_a_page_of_the_same_server() -> None:
    guard = Guard(TOKEN, "127.0.0.1", 8000)
    assert guard.knows_origin("http://127.0.0.1:8000", "127.0.0.1:8000")
    for origin in (None, "", "null", "http://127.0.0.1:3000", "http://localhost:8000"):
        assert not guard.knows_origin(origin, "127.0.0.1:8000")
    assert not guard.knows_origin("http://", "")


def test_a_token_is_random_unless_one_is_chosen() -> None:
    one, chosen = token({})
    assert not chosen
    assert len(one) > 40
    assert one != token({VARIABLE: " "})[0]
    assert token({VARIABLE: TOKEN}) == (TOKEN, True)


def test_a_short_token_keeps_nobody_out() -> None:
    with pytest.raises(UsageError, match="too short"):
        token({VARIABLE: "sesame"})
