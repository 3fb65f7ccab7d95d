from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models.checks import check_metadata, check_path, check_paths
from gswarm_remote.models.manifest import FileEntry, Manifest, Plan, PlanFile, content_revision
from hypothesis import given
from hypothesis import strategies as st

A, B = "a" * 64, "b" * 64
FILES = (FileEntry("z.bin", 3, A), FileEntry("sub/b.txt", 0, B))


def manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "name": "tiny",
        "revision": "main",
        "source": "hf://org/tiny",
        "files": FILES,
        "published_at": "2026-11-21T00:00:00.000Z",
    }
    return Manifest(**{**values, **changes})


def test_hash_is_the_sha256_of_sorted_lines() -> None:
    lines = f"{B}  0  sub/b.txt\n{A}  3  z.bin\n"
    expected = hashlib.sha256(lines.encode()).hexdigest()
    assert manifest().hash == expected
    assert manifest(files=FILES[::-1]) == manifest()
    assert content_revision(FILES) == expected[:40]
    assert manifest().size == 3


def test_manifest_survives_json() -> None:
    there = manifest(location="/data/tiny", metadata={"tags": ["llm"], "min_memory": 10**12})
    back = Manifest.from_dict(json.loads(json.dumps(there.to_dict())))
    assert back == there
    assert back.metadata == there.metadata


@pytest.mark.parametrize(
    "damage",
    [
        {"name": "../tiny"},
        {"name": ".gswarm"},
        {"name": "a/b"},
        {"name": 7},
        {"revision": None},
        {"revision": ".."},
        {"files": []},
        {"files": "z.bin"},
        {"files": [{"path": "a", "size": -1, "sha256": A}]},
        {"files": [{"path": "a", "size": True, "sha256": A}]},
        {"files": [{"path": "a", "size": 1, "sha256": "A" * 64}]},
        {"files": [{"path": "a", "size": 1}]},
        {"files": [{"path": "a", "size": 1, "sha256": A}] * 2},
        {"location": "relative"},
        {"location": 7},
        {"hash": "0" * 64},
        {"metadata": ["tags"]},
        {"metadata": {"x": "y" * 70_000}},
    ],
)
def test_damaged_manifest_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(HelperError) as error:
        Manifest.from_dict({**manifest().to_dict(), **damage})
    assert error.value.kind == Kind.INVALID


@pytest.mark.parametrize("data", [None, [], "manifest", 7, {}])
def test_what_is_no_map_is_refused(data: object) -> None:
    for read in (Manifest.from_dict, Plan.from_dict):
        with pytest.raises(HelperError):
            read(data)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "..",
        "../x",
        "a/../../x",
        "a//b",
        "a/",
        "./a",
        "a/.",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\x7fb",
        "\ud800",
        ".gswarm/lock",
        "sub/.GSWARM",
        "x" * 256,
        "/".join(["x" * 100] * 11),
    ],
)
def test_hostile_path_is_refused(path: str) -> None:
    with pytest.raises(HelperError) as error:
        check_path(path)
    assert error.value.kind == Kind.INVALID


@given(st.text(alphabet=st.sampled_from("ab./\\\0\n\x1b~ ."), max_size=12) | st.text(max_size=12))
def test_accepted_path_stays_below_and_is_itself(path: str) -> None:
    try:
        check_path(path)
    except HelperError:
        return
    joined = Path("/base", path)
    assert joined.as_posix() == f"/base/{path}"
    assert ".." not in joined.parts
    assert Path("/base") in joined.parents


@given(st.lists(st.text(alphabet="ab/", min_size=1, max_size=6), max_size=6))
def test_accepted_paths_can_all_be_made(paths: list[str]) -> None:
    accepted = [path for path in paths if _accepted(path)]
    try:
        check_paths(accepted)
    except HelperError:
        return
    files = set(accepted)
    folders = {parent.as_posix() for path in files for parent in Path(path).parents}
    assert len(files) == len(accepted)
    assert not files & folders


def _accepted(path: str) -> bool:
    try:
        check_path(path)
    except HelperError:
        return False
    return True


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.binary(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_nothing_from_outside_raises_anything_but_a_helper_error(data: Any) -> None:
    for read in (
        lambda: Manifest.from_dict({**manifest().to_dict(), "files": data}),
        lambda: Manifest.from_dict({**manifest().to_dict(), "metadata": data}),
        lambda: Plan.from_dict({"name": "n", "source": "s", "files": [data]}),
        lambda: Plan.from_dict({"name": "n", "source": "s", "files": [{"path": data}]}),
        lambda: Plan.from_dict(data),
    ):
        with contextlib.suppress(HelperError):
            read()


def test_metadata_that_json_cannot_hold_is_refused() -> None:
    for value in ({"x": b"bytes"}, {"x": float("nan")}, {7: "x"}):
        with pytest.raises(HelperError):
            check_metadata(value)


def plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {
        "name": "tiny",
        "revision": "c0ffee",
        "source": "hf://org/tiny",
        "files": (PlanFile("a", 3, A, url="https://hub/a?signature=secret"), PlanFile("b")),
    }
    return Plan(**{**values, **changes})


def test_plan_travels_with_urls_and_is_kept_without() -> None:
    assert Plan.from_dict(plan().to_dict()) == plan()
    assert Plan.from_dict(plan().to_dict()).files[0].url == "https://hub/a?signature=secret"
    assert "secret" not in json.dumps(plan().identity())


def test_plan_id_is_that_of_the_content() -> None:
    same = plan(files=(PlanFile("a", 3, A, url="https://elsewhere/a"), PlanFile("b")))
    assert same.id == plan().id
    others = [
        plan(name="other"),
        plan(revision="decaf"),
        plan(source="hf://org/other"),
        plan(files=(PlanFile("a", 3, B), PlanFile("b"))),
        plan(files=(PlanFile("a", 4, A), PlanFile("b"))),
        plan(files=(PlanFile("a", 3, A), PlanFile("b", etag="v2"))),
        plan(files=(PlanFile("a", 3, A), PlanFile("b", git_sha1="c" * 40))),
    ]
    assert len({plan().id, *(other.id for other in others)}) == len(others) + 1


def test_revision_is_known_where_all_is_promised() -> None:
    assert plan(revision=None).known_revision() is None
    whole = plan(revision=None, files=(PlanFile("a", 3, A),))
    assert whole.known_revision() == content_revision([FileEntry("a", 3, A)])
    assert plan().size is None
    assert whole.size == 3
    assert Plan.from_manifest(manifest()).known_revision() == "main"
