from __future__ import annotations

import pytest
from huggingface_hub.utils import filter_repo_objects
from hypothesis import given
from hypothesis import strategies as st

from gswarm_tui.errors import SourceError
from gswarm_tui.sources.base import Choice, Resolved, SourceFile, check_paths, suggest_name

TEXT = st.text("ab*?[]!/.", min_size=1, max_size=6)


@given(st.lists(TEXT), st.lists(TEXT, max_size=2), st.lists(TEXT, max_size=2))
def test_patterns_mean_what_they_mean_to_huggingface_hub(
    paths: list[str], include: list[str], exclude: list[str]
) -> None:
    choice = Choice(include, exclude)
    expected = filter_repo_objects(
        paths, allow_patterns=include or None, ignore_patterns=exclude or None
    )
    assert [path for path in paths if choice.wants(path)] == list(expected)


def test_what_is_wanted_comes_sorted() -> None:
    choice = Choice(include=["*.json", "sub/"], exclude=["b*"])
    assert choice.apply(["z.json", "b.json", "sub/x", "a.bin", "a.json"], where="hf://a/b") == [
        "a.json",
        "sub/x",
        "z.json",
    ]


def test_nothing_wanted_says_what_there_is() -> None:
    with pytest.raises(SourceError, match="none of its 2 files") as raised:
        Choice(include=["*.gguf"]).apply(["b.bin", "a.bin"], where="hf://a/b")
    assert raised.value.hint == "its files are a.bin, b.bin"
    with pytest.raises(SourceError, match="there are no files"):
        Choice().apply([], where="hf://a/b")


@pytest.mark.parametrize(
    ("paths", "named", "reason"),
    [
        (["../x"], "../x", "leaves"),
        (["a/../../x"], "a/../../x", "leaves"),
        (["/etc/passwd"], "/etc/passwd", "absolute"),
        (["a\\b"], "a\\\\b", "backslash"),
        (["a\0b"], "a\\x00b", "no text"),
        (["a\nb"], "a\\nb", "no text"),
        (["a\udcff"], "a\\udcff", "no text"),
        (["a//b"], "a//b", "empty part"),
        (["./a"], "./a", "empty part"),
        (["a/"], "a/", "empty part"),
        ([""], "", "empty part"),
        (["é" * 128], "é" * 128, "255 bytes"),
        (["README.md", "readme.MD"], "readme.MD", "case or form"),
        (["caf\u00e9", "cafe\u0301"], "cafe\u0301", "case or form"),
        (["a", "a/b"], "a/b", "needs a folder"),
        (["A/b/c", "a"], "A/b/c", "needs a folder"),
    ],
)
def test_paths_that_are_refused(paths: list[str], named: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason) as raised:
        check_paths(paths, where="hf://a/b")
    assert f"'{named}'" in raised.value.message
    assert raised.value.where == "hf://a/b"


def test_paths_that_are_fine() -> None:
    check_paths(["a/b", "a/c", "ab", "..a", "a..b", "x y", "é/ü", ".gitattributes"], where="")


def test_a_bad_path_can_be_left_out() -> None:
    assert Choice(exclude=["readme*"]).apply(["README", "readme"], where="") == ["README"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Llama-3.1-8B", "Llama-3.1-8B"),
        ("my model (1)", "my-model--1"),
        (".hidden", "hidden"),
        ("…", "model"),
        ("a" * 200, "a" * 96),
    ],
)
def test_suggest_name(text: str, name: str) -> None:
    assert suggest_name(text) == name


def test_no_secret_is_in_what_is_shown_or_sent_as_a_plan() -> None:
    resolved = Resolved(
        reference="hf://a/b",
        kind="fetch",
        name="b",
        files=(
            SourceFile("x", size=1, url="https://h/x"),
            SourceFile("y", size=2, url="https://h/y"),
        ),
        headers={"Authorization": "Bearer hf_secret"},
        origin="https://h:443",
    )
    assert resolved.size == 3
    plan = resolved.plan_for("mine", {"type": "llm"})
    assert "hf_secret" not in f"{resolved} {plan}"
    assert (plan["name"], plan["metadata"]) == ("mine", {"type": "llm"})
    assert plan["files"][0] == {
        "path": "x",
        "size": 1,
        "sha256": None,
        "git_sha1": None,
        "etag": None,
        "url": "https://h/x",
    }
