"""What is taken for a secret."""

from __future__ import annotations

import pytest

from gswarm_tui.credentials import is_hidden, is_secret


@pytest.mark.parametrize(
    ("name", "value", "secret", "hidden"),
    [
        ("MY_API_KEY", "sk-123", True, True),
        ("githubToken", "ghp_x", True, True),
        ("MIRROR", "https://ada:pw@host/", True, True),
        ("SSH_KEY", "~/.ssh/id", True, False),
        ("PRIVATE", "true", True, False),
        ("TOKENS", "4096", True, False),
        ("TOKENIZERS_PARALLELISM", "false", False, False),
        ("STAGE", "test", False, False),
        ("MIRROR", "https://host/a@b", False, False),
    ],
)
def test_it_is_told_by_name_and_value(name: str, value: str, secret: bool, hidden: bool) -> None:
    assert (is_secret(name, value), is_hidden(name, value)) == (secret, hidden)
