"""YAML with positions: what is read, what is refused, and how pydantic's problems are said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
)

from gswarm_tui import yamlfile
from gswarm_tui.errors import InventoryError, PlaybookError, UsageError
from gswarm_tui.yamlerrors import explain, validate
from gswarm_tui.yamlfile import load_yaml


@pytest.fixture(params=["libyaml", "pure"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of PyYAML's parsers; a machine without libyaml has the second only."""
    if request.param == "pure":
        monkeypatch.setattr(yamlfile, "_LOADER", yaml.SafeLoader)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", None),
        ("# a comment\n", None),
        ("a: 1\nb: [x, 2.5, null, ~]", {"a": 1, "b": ["x", 2.5, None, None]}),
        ("a: {on: yes, off: no}", {"a": {"on": True, "off": False}}),
        ("no: 1\n2: x\n1.10: y", {"no": 1, "2": "x", "1.10": "y"}),
        (
            "[12:30, 2026-01-31, 022, 1_000, 0x1F, -7, 1e5, .nan]",
            ["12:30", "2026-01-31", "022", "1_000", 31, -7, "1e5", ".nan"],
        ),
        ("a: !!str 5\nb: '5'\nc: |\n  two\n  lines\n", {"a": "5", "b": "5", "c": "two\nlines\n"}),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: *x", None),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
@pytest.mark.usefixtures("loader")
def test_data(text: str, data: Any) -> None:
    expected = {"a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 3}, "c": {"p": 1, "q": 2}}
    assert load_yaml(text).data == (expected if "<<" in text else data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", "f:4:3: the key `c` is here twice (first on line 3)"),
        ("a: 1\n'a': 2", "f:2:1: the key `a` is here twice (first on line 1)"),
        ("a: 1\n---\nb: 2", "f:2:1: a second document begins here; one is expected"),
        ("nodes: !node3", "f:1:8: `!node3` is a YAML tag here, which gswarm does not use"),
        ("a: !!python/object:os.system x", "f:1:4: YAML's own tags"),
        ("a: !!binary eA==", "f:1:4: YAML's own tags"),
        ("a:\n\t- x", "f:2:1: a tab cannot indent YAML: use spaces"),
        ("a: b: c", "f:1:5: a `: ` cannot be here"),
        ("a: *", "f:1:5: a text that begins with `*` must be in quotes"),
        ("a: @x", "f:1:4: a text cannot begin with `@` here: put it in quotes"),
        ("a: *nope", "f:1:4: there is no anchor `&nope` before this"),
        ("a: &x [*x]", "f:1:8: there is no anchor `&x` before this"),
        ("a:\n  b: 1\n c: 2", "f:3:2: a key is expected here: check the indentation"),
        (
            "a:\n  - b: 1\n    c: 2\n   d: 3",
            "f:4:4: the indentation does not fit: the list of line 2",
        ),
        ("a: {b: ${c}}", "f:1:8: an expression within `[…]` or `{…}` must be in quotes"),
        ('a: "b', "f:1:4: the quote that begins here is not closed"),
        ('a: "\\m"', "f:1:5: `\\m` means nothing in a text in double quotes"),
        ("a: [1\nb: 2", "f:2:2: a `,` or the end of the `[` of line 1 is missing before this"),
        ("- a:b\n  c: d", "f:1:4: a space is missing after this `:`"),
        ("a:\n  -b: c\n   d: e", "f:2:3: a space is missing after this `-`"),
        ("? [a]\n: b", "f:1:3: a key must be text, not a list"),
        ("a: 1\nb: \x01", "f:2:4: the character #x0001 is not allowed in YAML"),
        ("{<<: 5}", "f:1:2: `<<` takes a mapping, or a list of mappings"),
        ("[" * 100_000, "f:1:66: nested deeper than 64 levels"),
        ("- " * 100_000, "f:1:131: nested deeper than 64 levels"),
    ],
)
@pytest.mark.usefixtures("loader")
def test_refused(text: str, message: str) -> None:
    with pytest.raises(InventoryError) as caught:
        load_yaml(text, name="f", error_class=InventoryError)
    assert str(caught.value).startswith(message)


def test_a_tag_is_explained() -> None:
    with pytest.raises(UsageError) as caught:
        load_yaml("- all\n- !gpu-*")
    assert caught.value.hint == "put a text that begins with `!` in quotes: '!gpu-*'"


@pytest.mark.parametrize("step", ["[*{}, *{}]", "{{<<: [*{}, *{}]}}"], ids=["lists", "merges"])
def test_billion_laughs(step: str) -> None:
    first = "{x: 1}" if "<<" in step else "[x]"
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{i}: &a{i} " + step.format(f"a{i - 1}", f"a{i - 1}") for i in range(1, 40)]
    with pytest.raises(UsageError, match="aliases unfold to more than 100000 values"):
        load_yaml("\n".join(lines))


@pytest.mark.parametrize("step", ["[*{}]", "{{<<: *{}}}"], ids=["lists", "merges"])
def test_aliases_cannot_nest_without_end(step: str) -> None:
    first = "{x: 1}" if "<<" in step else "[x]"
    lines = [f"a{i}: &a{i} {step.format(f'a{i - 1}')}" for i in range(1, 3000)]
    with pytest.raises(UsageError, match="deeper than 64 levels"):
        load_yaml("\n".join([f"a0: &a0 {first}", *lines]))


@given(
    st.one_of(
        st.text(alphabet="ab:-[]{}&*!<>|#'\"%@,? \n\t~01.\\\x00\x85é", max_size=40), st.text()
    )
)
def test_any_text_is_a_document_or_an_error(text: str) -> None:
    try:
        where = load_yaml(text, name="f").position(())
    except UsageError as error:
        where = error.where or ""
    assert re.fullmatch(r"f:\d+:\d+", where)


def test_positions() -> None:
    document = load_yaml("nodes:\n  n1:\n    port: 22\n  n2: [a, {b: c}]\n", name="f.yaml")
    assert document.position(("nodes", "n1", "port")) == "f.yaml:3:11"
    assert document.key_position(("nodes", "n1", "port")) == "f.yaml:3:5"
    assert document.position(("nodes", "n2", 1, "b")) == "f.yaml:4:15"
    assert document.key_position(("nodes", "n2", 0)) == "f.yaml:4:8"
    assert document.position(("nodes", "<tag>", "n1", "str", "port")) == "f.yaml:3:11"
    assert document.key_position(("nodes", "n1", "missing")) == "f.yaml:2:3"
    assert document.position(()) == "f.yaml:1:1"


def test_a_tag_that_is_also_a_key_does_not_lead_astray() -> None:
    document = load_yaml("- copy: 1\n  to: 2\n", name="f")
    assert document.position((0, "copy", "to")) == "f:2:7"
    assert document.position((0, "copy", "copy")) == "f:1:9"


def test_files(tmp_path: Path) -> None:
    good = tmp_path / "good.yaml"
    good.write_text("a: 1\n")
    assert load_yaml(good).position(("a",)) == f"{good}:1:4"
    assert load_yaml(good, name="short").position(("a",)) == "short:1:4"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, ": cannot be read: No such file or directory"),
        (b"a: 1\nb: \xff", ":2:4: is not UTF-8 text here"),
        (b" " * (16 * 2**20 + 1), ": is larger than 16 MiB"),
    ],
    ids=["missing", "not UTF-8", "too large"],
)
def test_unreadable_files(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "f.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PlaybookError) as caught:
        load_yaml(path, error_class=PlaybookError)
    assert str(caught.value) == f"{path}{message}"


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Copy(Model):
    kind: Literal["copy"]
    count: int = Field(default=1, ge=1)
    names: list[str] | str = ""


class Serve(Model):
    kind: Literal["serve"]
    port: int
    over: Literal["ssh", "local"] = "ssh"


class Playbook(Model):
    actions: list[Annotated[Copy | Serve, Field(discriminator="kind")]] = []
    nodes: Annotated[
        Annotated[dict[str, Copy], Tag("<map>")] | Annotated[list[Copy], Tag("<list>")],
        Discriminator(lambda value: "<list>" if isinstance(value, list) else "<map>"),
    ] = []
    labels: dict[Annotated[str, Field(pattern="^[a-z]+$")], str] = {}


def problems(text: str) -> list[str]:
    with pytest.raises(PlaybookError) as caught:
        validate(load_yaml(text, name="f"), Playbook, PlaybookError)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f:1:1: expected a mapping, found nothing"),
        ("action: []", "f:1:1: unknown key `action`; did you mean `actions`?"),
        ("zzz: []", "f:1:1: unknown key `zzz`; known here: actions, labels, nodes"),
        (
            "actions:\n- kind: copy\n  cuont: 3",
            "f:3:3: actions[0]: unknown key `cuont`; did you mean `count`?",
        ),
        (
            "actions: [{kind: copy, port: 3}]",
            "f:1:24: actions[0]: unknown key `port`; known here: count, kind, names",
        ),
        (
            "nodes: {n1: {kind: copy, cuont: 3}}",
            "f:1:26: nodes.n1: unknown key `cuont`; did you mean `count`?",
        ),
        (
            "nodes: [{kind: copy, cuont: 3}]",
            "f:1:22: nodes[0]: unknown key `cuont`; did you mean `count`?",
        ),
        ("actions:\n- kind: serve", "f:2:3: actions[0]: `port` is missing"),
        ("actions:\n- port: 1", "f:2:3: actions[0]: `kind` is missing"),
        (
            "actions:\n- {port: 1, kind: srve}",
            "f:2:19: actions[0].kind: expected one of copy, serve; found `srve`;"
            " did you mean `serve`?",
        ),
        ("actions: [7]", "f:1:11: actions[0]: expected a mapping, found the number 7"),
        (
            "actions: [{kind: serve, port: abc}]",
            "f:1:31: actions[0].port: expected a whole number, found 'abc'",
        ),
        (
            "actions: [{kind: serve, port: 1, over: locl}]",
            "f:1:40: actions[0].over: expected 'ssh' or 'local', found 'locl';"
            " did you mean `local`?",
        ),
        (
            "actions: [{kind: copy, count: 0}]",
            "f:1:31: actions[0].count: expected a number of at least 1, found the number 0",
        ),
        (
            "actions: [{kind: copy, names: no}]",
            "f:1:31: actions[0].names: expected a list or text, found `no`, which is true or false"
            " in YAML; put it in quotes to make it text: 'no'",
        ),
        (
            "actions: [{kind: copy, names: [a, 1.10]}]",
            "f:1:35: actions[0].names[1]: expected text, found the number 1.10;"
            " put it in quotes to make it text: '1.10'",
        ),
        ("labels:\n  A1: x", "f:2:3: labels: expected a text of the form ^[a-z]+$, found 'A1'"),
    ],
)
def test_explained(text: str, message: str) -> None:
    assert problems(text) == [message]


def test_all_problems_in_the_order_of_the_file() -> None:
    text = "labels: {b: 2}\nactions:\n- {kind: serve}\n- {kind: copy, count: x, nme: y}\n"
    assert [line.split(": ", 1)[0] for line in problems(text)] == [
        "f:1:13",
        "f:3:3",
        "f:4:23",
        "f:4:26",
    ]


def test_many_problems_are_counted() -> None:
    lines = problems("actions:\n" + "- {kind: serve}\n" * 50)
    assert len(lines) == 41
    assert lines[-1] == "... and 10 more"


def test_explain_without_a_model() -> None:
    document = load_yaml("acton: []", name="f")
    with pytest.raises(ValidationError) as caught:
        Playbook.model_validate(document.data)
    error = explain(caught.value, document, PlaybookError)
    assert isinstance(error, PlaybookError)
    assert (error.where, error.message) == ("f:1:1", "unknown key `acton`")


class Even(Model):
    number: int

    @field_validator("number")
    @classmethod
    def _even(cls, number: int) -> int:
        if number % 2:
            raise ValueError(f"{number} is odd")
        return number


def test_validators_speak_for_themselves() -> None:
    with pytest.raises(InventoryError) as caught:
        validate(load_yaml("number: 3", name="f"), Even, InventoryError)
    assert str(caught.value) == "f:1:9: number: 3 is odd"
