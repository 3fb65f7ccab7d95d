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
    ("host", "is_known"),
    [
        ("127.0.0.1:8000", True),
        ("127.0.0.1", True),
        ("localhost:9000", True),  # that of ssh -L
        ("localhost:65535", True),
        ("LocalHost:8000", True),  # names have no case
        ("[::1]:8000", True),
        ("[::1]", True),
        # other names
        (None, False),
        ("", False),
        ("evil.example", False),
        ("evil.example:8000", False),
        ("localhost.evil.example", False),
        ("evil.example#localhost", False),
        ("evil.example/localhost", False),
        ("evil.example\\@localhost", False),
        ("10.0.0.1:8000", False),
        ("[::2]:8000", False),
        ("[::ffff:127.0.0.1]:8000", False),
        # this machine, written as no browser does
        ("localhost.", False),
        ("localhost.:8000", False),
        (".localhost", False),
        ("local..host", False),
        ("a@localhost", False),
        ("a:b@localhost:8000", False),
        ("@localhost", False),
        ("127.1", False),
        ("0x7f.0.0.1", False),
        ("2130706433", False),
        ("127.0.0.1.:8000", False),
        ("[127.0.0.1]:8000", False),
        ("::1", False),
        ("::1:8000", False),
        ("[::1", False),
        ("::1]", False),
        ("[[::1]]", False),
        ("[::1]x:8000", False),
        ("[::1]8000", False),
        ("[::1%lo]:8000", False),
        ("[0:0:0:0:0:0:0:1]:8000", False),
        # ports that are none
        ("localhost:", False),
        ("[::1]:", False),
        (":8000", False),
        ("localhost:x", False),
        ("localhost:0", False),
        ("localhost:08000", False),
        ("localhost:+80", False),
        ("localhost:-80", False),
        ("localhost:65536", False),
        ("localhost:99999999", False),
        ("localhost:8000:9000", False),
        ("localhost:٨٠", False),
        # what would be something else in a header
        (" localhost", False),
        ("localhost ", False),
        ("localhost\n", False),
        ("localhost\t:8000", False),
        ("localhost:8000;script-src *", False),
        ("localhost,evil.example", False),
        ("ｌocalhost", False),
        ("localhost\x00", False),
    ],
)
def test_only_this_machine_written_as_browsers_do_is_known(
    host: str | None, is_known: bool
) -> None:
    assert Guard(TOKEN, "127.0.0.1", 8000).knows_host(host) is is_known


def test_open_to_the_network_every_address_will_do_but_no_other_name() -> None:
    guard = Guard(TOKEN, "0.0.0.0", 8000)
    for host in ("10.0.0.1:8000", "[fe80::1]:8000", "[2001:DB8::1]", "localhost:8000"):
        assert guard.knows_host(host), host
    for host in ("evil.example:8000", "[fe80::1%;script-src *]:8000", "10.0.0.1.", "10.0.0.256"):
        assert not guard.knows_host(host), host


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
