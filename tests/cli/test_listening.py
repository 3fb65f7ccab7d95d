from __future__ import annotations

import pytest

from gswarm_tui.cli.listening import token_of, warn_if_open
from gswarm_tui.errors import UsageError


def test_the_token_is_what_its_variable_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_TOKEN", " secret\n")
    assert token_of("HUB_TOKEN") == "secret"
    assert token_of(None) is None


@pytest.mark.parametrize("held", [None, "", " "])
def test_a_variable_that_holds_none_is_no_open_door(
    monkeypatch: pytest.MonkeyPatch, held: str | None
) -> None:
    monkeypatch.delenv("HUB_TOKEN", raising=False)
    if held is not None:
        monkeypatch.setenv("HUB_TOKEN", held)
    with pytest.raises(UsageError, match=r"\$HUB_TOKEN holds no token"):
        token_of("HUB_TOKEN")


def test_only_who_is_open_to_others_is_warned(capsys: pytest.CaptureFixture[str]) -> None:
    warn_if_open("127.0.0.1", "It travels in the clear")
    warn_if_open("0.0.0.0", "It travels in the clear")
    assert capsys.readouterr().err == (
        "warning: 0.0.0.0 is open to the network. It travels in the clear\n"
    )
