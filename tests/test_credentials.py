"""What is taken for a secret."""

from __future__ import annotations

import pytest

from gswarm_tui.credentials import is_secret

SECRETS = [
    ("MY_API_KEY", "sk-123"),
    ("apiKey", "x"),
    ("APIKey", "x"),
    ("OPENAI_APIKEY", "x"),
    ("openai_key", "x"),
    ("githubToken", "ghp_x"),
    ("HF_TOKEN_2", "x"),
    ("HF_TOKENS", "hf_a,hf_b"),
    ("MY_PASSWORD", ""),
    ("PGPASSWORD", "x"),
    ("DB_PASSWORD", "12345"),
    ("DB_PASSWORD_FILE", "hunter2"),
    ("PASSPHRASE", "abcd efgh"),
    ("AUTHORIZATION", "Bearer abcdef"),
    ("HF_AUTH", "abcdefgh"),
    ("MYSQL_PWD", "abcdefgh"),
    ("GITHUB_PAT", "x"),
    ("SESSION_COOKIE", "abcd1234"),
    ("AWS_SECRET_ACCESS_KEY", "/AbCdEf1234567890+/xyzabcdef0123456789ABCD"),
    ("SSH_KEY", "/abcd"),
    ("MIRROR", "https://ada:pw@host/"),
    ("SOMETHING", "hf_abcdefghij"),
    ("TOKEN_URL", "https://ada:pw@host/"),
]
NONE = [
    ("PRIVATE", "abc"),
    ("USE_TOKEN", "true"),
    ("TOKENS", "4096"),
    ("MAX_TOKENS", "131072"),
    ("MAX_TOKENS", "128k"),
    ("MAX_NEW_TOKENS", "131072"),
    ("TOKENS_PER_S", "12"),
    ("EOS_TOKEN", "<|im_end|>"),
    ("TOKENIZER", "qwen"),
    ("TOKENIZERS_PARALLELISM", "false"),
    ("TOKEN_LIMIT", "131072"),
    ("MONKEY", "x1"),
    ("KEYBOARD", "us"),
    ("MODEL_KEY", "qwen3"),
    ("KEY_FOLDER", "/keys"),
    ("DB_PASSWORD_FILE", "/run/secrets/db"),
    ("SSH_KEY_PATH", "~/.ssh/id"),
    ("SECRETS_DIR", "keys/of/mine"),
    ("SSH_AUTH_SOCK", "/tmp/agent"),
    ("AUTH_MODE", "basic"),
    ("PWD", "/work"),
    ("COMPASS", "north"),
    ("AUTHOR", "ada"),
    ("STAGE", "test"),
    ("MIRROR", "https://host/a@b"),
    ("HTTP_PROXY", "http://host:1"),
    ("_", "x"),
]


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [*((*one, True) for one in SECRETS), *((*one, False) for one in NONE)],
)
def test_it_is_told_by_name_and_value(name: str, value: str, secret: bool) -> None:
    assert is_secret(name, value) is secret
