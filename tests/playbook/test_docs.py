"""docs/playbooks.md says what there is, and nothing else."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gswarm_tui import durations
from gswarm_tui.errors import KINDS
from gswarm_tui.playbook import Plan, Playbook, load
from gswarm_tui.playbook.actions import TYPES, Written
from gswarm_tui.playbook.language import options, vartypes
from gswarm_tui.playbook.language.expressions import OWNERS
from gswarm_tui.playbook.language.frame import Frame
from gswarm_tui.playbook.language.options import WrittenRetry
from gswarm_tui.state.states import Priority
from gswarm_tui.yamlfile import load_yaml

TEXT = (Path(__file__).parents[2] / "docs" / "playbooks.md").read_text()
SECTIONS = {
    section.split("`")[1]: section for section in re.split(r"^### ", TEXT, flags=re.M)[1:]
    if section.startswith("`")
}  # fmt: skip
CHAPTERS = {chapter.split("\n")[0]: chapter for chapter in re.split(r"^##+ ", TEXT, flags=re.M)[1:]}


def common_keys(name: str) -> set[str]:
    """The keys that are explained with every action; some types say more of `timeout`."""
    return set(Written.model_fields) - ({"timeout"} if TYPES[name].written.own_timeout else set())


def named(section: str, heading: str) -> set[str]:
    """The names in the first column of the table with that heading."""
    table = re.search(rf"^\| {heading} \| \|\n\|---\|---\|\n((?:\|.*\n)+)", section, flags=re.M)
    rows = table[1].splitlines() if table else []
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}


def certain(section: str) -> set[str]:
    return set(re.findall(r"`(\w+)` •", section))


def test_every_action_type_has_its_section() -> None:
    assert set(SECTIONS) == set(TYPES)


@pytest.mark.parametrize("name", TYPES)
def test_all_keys_are_there(name: str) -> None:
    written = set(TYPES[name].written.model_fields) - common_keys(name)
    assert named(SECTIONS[name], "key") - {"framework"} == written


@pytest.mark.parametrize("name", TYPES)
def test_all_fields_that_it_returns_are_there(name: str) -> None:
    section = SECTIONS[name]
    fields = named(section, "returns")
    if "Returns what `download` returns" in section:
        fields |= named(SECTIONS["download"], "returns")
        fields |= set(re.findall(r", and `(\w+)`\.", section))
    assert fields == set(TYPES[name].fields())


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("download", "device: 'node1:disk'"),
        ("serve", "device: 'node1:gpu0'"),
        ("stop_serve", "device: 'node1:gpu0'"),
        ("delete", "device: 'node1:gpu0'"),
        ("verify", "device: 'node1:disk'"),
    ],
)
def test_what_is_marked_as_certain_is_known_before_the_run(
    name: str, rest: str, make_plan: Callable[[str], Plan]
) -> None:
    plan = make_plan(f"- {{action_id: a, action_type: {name}, model_name: m, {rest}}}")
    assert certain(SECTIONS[name]) == set(plan.actions[0].action.known())


def test_the_keys_at_the_top_are_there() -> None:
    assert named(CHAPTERS["The file"], "key") == set(Frame.model_fields)


def test_the_keys_of_every_action_are_there() -> None:
    assert named(CHAPTERS["Every action"], "key") == set(Written.model_fields)


def quoted(chapter: str, sentence: str) -> set[str]:
    """The words in a sentence that begins so."""
    found = re.search(rf"{sentence}(.*?)\.(?:\s|$)", CHAPTERS[chapter], flags=re.S)
    assert found is not None
    return set(re.findall(r"`(\w+)`", found[1]))


def test_the_words_are_there() -> None:
    assert quoted("Every action", "The kinds of errors are") == set(KINDS)
    assert quoted("The file", "for actions without their own:") >= set(Priority)
    assert quoted("Variables", "The types are") == set(vartypes.KINDS)


def test_every_expression_is_there() -> None:
    shown = set(re.findall(r"^\| `\$\{(\w+)\.", CHAPTERS["Expressions"], flags=re.M))
    assert shown == {*OWNERS, "action_id"}


def test_what_is_said_of_retries_is_true() -> None:
    example = re.search(r"```yaml\n(retry:.*?)```", TEXT, flags=re.S)
    assert example is not None
    retry = WrittenRetry.model_validate(load_yaml(example[1]).data["retry"])
    assert (retry.attempts, retry.backoff) == (5, 2.0)
    assert (options.BACKOFF_S, options.MAX_BACKOFF_S) == (1.0, 60.0)
    assert options.OWN_TIMEOUT_MARGIN_S == 30.0


def test_the_lengths_of_time_are_some() -> None:
    sentence = re.search(r"A duration is.*?\n\n", TEXT, flags=re.S)
    assert sentence is not None
    lengths = re.findall(r"`(\w+)`", sentence[0])
    assert [durations.parse(text) for text in lengths] == [0.5, 90, 600, 7200, 5400, 86400]


ACTIONS = "actions: [{action_id: a, action_type: noop}]\n"


def read(text: str, tmp_path: Path, **overrides: str) -> Playbook:
    (tmp_path / "p.yaml").write_text(text)
    return load(tmp_path / "p.yaml", overrides, environ={"HF_TOKEN": "hf_secret"})


def examples(chapter: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", CHAPTERS[chapter], flags=re.S)


def test_the_example_of_variables_is_right(tmp_path: Path) -> None:
    (example,) = examples("Variables")
    values = read(example + ACTIONS, tmp_path, node="n").variables
    assert values == {"model": "smol", "port": 8080, "node": "n", "engine": "vllm"}


def test_the_example_of_secrets_is_right(tmp_path: Path) -> None:
    (example,) = examples("Secrets")
    (tmp_path / "api").write_text("from a file\n")
    example = example.replace("~/keys/", "")
    assert read(example + ACTIONS, tmp_path).mask("hf_secret, from a file") == "***, ***"


def test_the_examples_of_actions_are_right(make_plan: Callable[..., Plan]) -> None:
    (always,), (each,) = examples("Always"), examples("For each")
    each = each.replace("${nodes.a100}", "${nodes.all}").replace("fetch", "f")
    made = make_plan(f"actions:\n{each}{always}").actions
    assert [one.action_id for one in made] == [
        *("f[node1]", "f[node2]", "load[node1]", "load[node2]", "free"),
    ]
    assert made[3].needs == ("f[node2]",)


def test_the_example_is_right(make_plan: Callable[[str], Plan]) -> None:
    example = re.search(r"```yaml\n(.*?)```", TEXT, flags=re.S)
    assert example is not None
    assert [planned.needs for planned in make_plan(example[1]).actions] == [
        (),
        ("fetch",),
        ("serve",),
    ]
