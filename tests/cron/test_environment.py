"""What is written down of the environment, and what never is."""

from __future__ import annotations

import pytest

from gswarm_tui.cron.environment import needed, warnings
from gswarm_tui.errors import UsageError


def test_what_is_kept() -> None:
    environ = {
        "PATH": "/usr/bin:bin:/not/there::/bin:/usr/bin",
        "HOME": "/root",
        "TERM": "xterm",
        "HF_HOME": "/hf",
        "https_proxy": "http://proxy:3128",
        "HTTP_PROXY": "http://ada:pw@proxy:3128",
        "HF_TOKEN": "hf_x",
        "GSWARM_QUEUE_RETRY_COUNT": "2",
        "GSWARM_HOME": "/elsewhere",
        "GSWARM_API_TOKEN": "t",
        "STAGE": "test",
    }
    assert needed(environ, ["STAGE", "MISSING"]) == {
        "PATH": "/usr/bin:/bin",
        "HF_HOME": "/hf",
        "https_proxy": "http://proxy:3128",
        "GSWARM_QUEUE_RETRY_COUNT": "2",
        "STAGE": "test",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_KEY", "x"),
        ("MY_PASSWORD", ""),
        ("openai_key", "x"),
        ("GitHubToken", "x"),
        ("MIRROR", "https://ada:pw@host/"),
    ],
)
def test_a_secret_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError, match="looks like a secret") as raised:
        needed({name: value}, [name])
    assert "secrets:" in str(raised.value.hint)


def test_what_works_now_and_will_not_at_night() -> None:
    environ = {"SSH_AUTH_SOCK": "/s", "HF_TOKEN": "t", "ALL_PROXY": "http://a:b@c", "PATH": "/bin"}
    said = list(warnings(environ, ["VLLM_KEY"]))
    assert [sentence.split()[0] for sentence in said] == ["an", "HF_TOKEN", "VLLM_KEY", "ALL_PROXY"]
    assert list(warnings({"PATH": "/bin"}, [])) == []
