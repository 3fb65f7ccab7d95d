from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gswarm_tui import sources
from gswarm_tui.errors import SourceNameError
from gswarm_tui.sources.hf import HubSource
from gswarm_tui.sources.http import WebSource
from gswarm_tui.sources.path import ControllerSource, NodeSource

MIRROR = {"HF_ENDPOINT": "http://hub.lan:8080/hf/"}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("hf://org/name", HubSource("org", "name")),
        ("hf://org/name@v1.0", HubSource("org", "name", "v1.0")),
        ("hf://org/name@refs/pr/3", HubSource("org", "name", "refs/pr/3")),
        (
            "https://huggingface.co/meta-llama/Llama-2-7b-hf",
            HubSource("meta-llama", "Llama-2-7b-hf"),
        ),
        (" https://hf.co/org/name/ ", HubSource("org", "name")),
        ("https://huggingface.co/org/name?library=x#files", HubSource("org", "name")),
        ("https://huggingface.co/org/name/tree/main", HubSource("org", "name", "main")),
        (
            "https://huggingface.co/org/name/tree/refs%2Fpr%2F1",
            HubSource("org", "name", "refs/pr/1"),
        ),
        (
            "https://huggingface.co/org/name/blob/main/a/b%20c.gguf",
            HubSource("org", "name", "main", "a/b c.gguf"),
        ),
        (
            "https://huggingface.co/org/name/resolve/main/x.gguf?download=true",
            HubSource("org", "name", "main", "x.gguf"),
        ),
        ("http://hub.lan:8080/hf/org/name", HubSource("org", "name")),
        ("http://HUB.lan:8080/hf/org/name/tree/v1", HubSource("org", "name", "v1")),
        # On the mirror's host, and not on the mirror.
        ("http://hub.lan:8080/files/model.bin", WebSource("http://hub.lan:8080/files/model.bin")),
        ("https://hub.lan:8080/hf/org/name", WebSource("https://hub.lan:8080/hf/org/name")),
        ("https://host/a/model.gguf", WebSource("https://host/a/model.gguf")),
        ("http://host/model.gguf?sig=1#x", WebSource("http://host/model.gguf?sig=1")),
        ("file:///models/a%20b", NodeSource(Path("/models/a b"))),
        ("file://localhost/models/a", NodeSource(Path("/models/a"))),
        ("local:/models/a", ControllerSource(Path("/models/a"))),
        ("local:a/../b", ControllerSource(Path.cwd() / "b")),
        ("local:~/a", ControllerSource(Path.home() / "a")),
    ],
)
def test_parse(reference: str, expected: sources.Source) -> None:
    found = sources.parse(reference, environ=MIRROR)
    assert found == expected
    # What is recorded means the same when it is read again, but for what may be a secret.
    again = sources.parse(found.reference, environ=MIRROR)
    assert again == (expected if "?" not in reference else again)


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("", "no source"),
        ("llama-7b", "no source"),
        ("s3://bucket/model", "no source"),
        ("hf://", "no organisation and name"),
        ("hf://gpt2", "no organisation and name"),
        ("hf://org/name/config.json", "no organisation and name"),
        ("hf://org/name@", "revision after @ is empty"),
        ("hf://org/name@../x", "can't be a revision"),
        ("hf://org/na me", "can't be a name"),
        ("hf://org/..", "can't be a name"),
        ("hf://datasets/org/name", "no models"),
        ("https://huggingface.co/", "no organisation and name"),
        ("https://huggingface.co/...", "no organisation and name"),
        ("https://huggingface.co/datasets/org/name", "no models"),
        ("https://huggingface.co/org/name/discussions", "no address of a model"),
        ("https://huggingface.co/org/name/tree/main/folder", "no address of a model"),
        ("https://host/", "no file's name"),
        ("https://host/folder/", "no file's name"),
        ("https://host/a%2F..%2Fb", "leaves the model's folder"),
        ("https://host/a%00b", "no text"),
        ("https://user:secret@host/file", "credentials in the URL"),
        ("https://host:99999/file", "no URL"),
        ("https:///file", "no http or https URL"),
        ("https://host/a b", "a character that a URL can't have"),
        ("file://node1/models/a", "names a host"),
        ("file:models/a", "no absolute path"),
        ("file:///", "no absolute path"),
        ("file:///a/../b", r"has \.\."),
        ("file:///a%00b", "no absolute path"),
        ("file:///a?b", "%3F"),
        ("local:", "no path"),
        ("local:a\0b", "no path"),
        ("local:~no-such-user/a", "no-such-user"),
    ],
)
def test_parse_refuses(reference: str, reason: str) -> None:
    with pytest.raises(SourceNameError, match=reason) as raised:
        sources.parse(reference, environ={})
    assert "secret" not in f"{raised.value}{raised.value.hint}"


@pytest.mark.parametrize(
    "endpoint", ["hub.lan", "ftp://hub", "https://user:secret@hub", "https://hub?x=1"]
)
def test_a_wrong_endpoint_is_named(endpoint: str) -> None:
    with pytest.raises(SourceNameError, match="HF_ENDPOINT") as raised:
        sources.parse("https://hub/org/name", environ={"HF_ENDPOINT": endpoint})
    assert "secret" not in f"{raised.value}{raised.value.hint}"


@pytest.mark.parametrize(
    ("source", "url", "expected"),
    [
        (None, None, None),
        ("hf://org/name", None, "hf://org/name"),
        (None, "https://huggingface.co/org/name", "https://huggingface.co/org/name"),
        ("huggingface", "https://huggingface.co/org/name", "https://huggingface.co/org/name"),
        ("HuggingFace", "org/name", "hf://org/name"),
    ],
)
def test_from_options(source: str | None, url: str | None, expected: str | None) -> None:
    assert sources.from_options(source, url) == expected


def test_from_options_refuses() -> None:
    with pytest.raises(SourceNameError, match="needs --url"):
        sources.from_options("huggingface", None)
    with pytest.raises(SourceNameError, match="two sources"):
        sources.from_options("hf://org/name", "https://huggingface.co/org/name")


def test_importing_sources_is_cheap() -> None:
    heavy = "{'huggingface_hub', 'httpx2', 'httpx', 'requests'} & sys.modules.keys()"
    code = f"import sys, gswarm_tui.sources as s; s.parse('hf://a/b'); print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
