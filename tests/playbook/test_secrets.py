import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gswarm_tui.errors import PlaybookError
from gswarm_tui.inventory import Inventory
from gswarm_tui.playbook import Plan, load, plan, reload
from gswarm_tui.playbook.actions import TYPES
from gswarm_tui.playbook.actions.command import Command
from gswarm_tui.playbook.actions.download import Download
from gswarm_tui.playbook.language.secrets import Mask

PLAYBOOK = """
secrets: {token: {env: TOKEN}, key: {file: keys/api}}
actions:
  - action_id: ask
    action_type: command
    node: node1
    argv: [curl, example.org]
    env: {TOKEN: "${secrets.token}", BOTH: "${secrets.token}:${secrets.key}", PLAIN: x}
  - {action_id: after, action_type: noop, message: "said ${ask.status}"}
"""
VALUES = ("s3cret-token", "k3y from a file")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "api").write_text(VALUES[1] + "\n")
    (tmp_path / "p.yaml").write_text(PLAYBOOK)
    return tmp_path


@pytest.fixture
def made(folder: Path, inventory: Inventory) -> Plan:
    return plan(load(Path("p.yaml"), environ={"TOKEN": VALUES[0]}), inventory)


def shows_a_secret(text: str) -> bool:
    return any(value in text for value in VALUES)


def test_a_plan_shows_no_secret(made: Plan) -> None:
    ask = made.actions[0]
    shown = [repr(made), repr(ask), ask.summary, str(ask.action.known()), str(ask.action.late)]
    assert not shows_a_secret("".join(shown))
    assert not shows_a_secret(json.dumps(made.origin.to_json()))


def test_an_action_has_its_secrets_when_it_runs(made: Plan) -> None:
    action = made.complete(made.actions[0], {})
    assert isinstance(action, Command)
    assert action.env == {"TOKEN": VALUES[0], "BOTH": ":".join(VALUES), "PLAIN": "x"}
    assert not shows_a_secret(repr(action) + action.summary() + action.sentence())


def test_a_secret_is_read_anew_wherever_the_job_is_resumed(
    made: Plan, folder: Path, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    (folder / "keys" / "api").write_text("another")
    (folder / "p.yaml").unlink()
    again = plan(reload(made.origin, environ={"TOKEN": "new-token"}), inventory)
    action = again.complete(again.actions[0], {})
    assert isinstance(action, Command)
    assert action.env["BOTH"] == "new-token:another"
    with pytest.raises(PlaybookError, match="the environment has no `TOKEN`"):
        reload(made.origin, environ={})


def test_a_plan_hides_what_turns_up(made: Plan) -> None:
    assert made.mask(f"curl: 401 for {VALUES[0]}") == "curl: 401 for ***"
    value = {"output": [VALUES[1], 3, None], VALUES[0]: {"a": f"<{VALUES[0]}>"}}
    assert made.mask_json(value) == {"output": ["***", 3, None], "***": {"a": "<***>"}}


def test_longer_values_are_hidden_first() -> None:
    assert Mask(["pass", "password"])("password pass") == "*** ***"


def test_what_is_cut_short_is_hidden_as_well() -> None:
    value = "hf_" + "0123456789" * 3
    mask = Mask([value, "**********abc", "short"])
    assert mask.cut(f"{value!r:.20}, <{value[:11]}>, {value}x") == "'***, <***>, ***x"
    assert mask.cut("hf_012345 is shor") == "hf_012345 is shor"
    assert mask.cut("**********") == "***"


def test_each_line_of_a_value_is_hidden() -> None:
    mask = Mask(["-- begin --\nMIIEow\nab\n-- end --"])
    assert mask("MIIEow") == "***"
    assert mask("ab") == "ab"


@given(st.lists(st.text(min_size=4), max_size=4), st.text())
def test_nothing_of_a_value_stays(values: list[str], text: str) -> None:
    masked = Mask(values)(text.join(values))
    assert all(value not in masked for value in values if "*" not in value)


def test_what_takes_secrets_keeps_them_out_of_its_repr() -> None:
    takes = {name: kind.written.takes_secrets for name, kind in TYPES.items()}
    takes = {name: fields for name, fields in takes.items() if fields}
    actions: dict[str, Any] = {"download": Download, "command": Command}
    assert set(takes) == set(actions)
    for name, action in actions.items():
        shown = {field.name for field in action.__dataclass_fields__.values() if field.repr}
        assert not shown & takes[name]


def test_a_download_has_its_token(folder: Path, make_plan: Callable[[str], Plan]) -> None:
    made = make_plan("""
secrets: {token: {file: keys/api}}
actions:
  - action_id: a
    action_type: download
    model_name: m
    source: hf://org/m
    device: node1:disk
    token: ${secrets.token}
""")
    planned = made.actions[0]
    assert not shows_a_secret(repr(planned) + planned.summary)
    action = made.complete(planned, {})
    assert isinstance(action, Download)
    assert action.token == VALUES[1]
    assert not shows_a_secret(repr(action) + action.summary() + action.sentence())


def test_a_token_is_for_a_hub(make_plan: Callable[[str], Plan]) -> None:
    text = (
        "- {action_id: a, action_type: download, model_name: m, device: 'node1:disk', token: abcd"
    )
    with pytest.raises(PlaybookError, match="a token is for a model on a hub"):
        make_plan(text + ", source: 'file:///m'}")


LOOKS_SECRET = """
vars: {text: "${env.MY_TOKEN}", tok: %s}
actions:
  - {action_id: c, action_type: noop, message: "${vars.tok}", for_each: %s}
"""
TOKENS = ["hf_LEAKME123", "hf_" + "LEAKME123" * 20]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize(
    ("default", "items", "message"),
    [
        ("x", '["${vars.text}", y]', "and ${vars.text} looks like a secret"),
        ("x", '{name: [a], with: ["is ${env.MY_TOKEN}"]}', "and is ${env.MY_TOKEN} looks like"),
        ('{type: integer, default: "${env.MY_TOKEN}"}', "[a]", "not a whole number: it is '***"),
        (
            '{type: text, default: "${env.MY_TOKEN}", choices: [a]}',
            "[a]",
            "the default of `tok` is not one of its choices",
        ),
    ],
)
def test_what_looks_like_a_secret_is_in_no_id_and_no_error(
    tmp_path: Path, inventory: Inventory, token: str, default: str, items: str, message: str
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(LOOKS_SECRET % (default, items))
    with pytest.raises(PlaybookError) as caught:
        plan(load(file, environ={"MY_TOKEN": token}), inventory)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{file}:")
    assert "LEAKME" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize(
    "action",
    [
        'action_type: command, node: "${env.MY_TOKEN}", argv: [ls]',
        'action_type: command, node: node1, argv: ["-${env.MY_TOKEN}"]',
        'action_type: copy, model_name: m, devices: ["${env.MY_TOKEN}:disk"]',
        'action_type: noop, when: "${env.MY_TOKEN} <"',
        'action_type: noop, timeout: "${env.MY_TOKEN}"',
        'action_type: noop, priority: "${env.MY_TOKEN}"',
        'action_type: serve, model_name: m, device: "node1:gpu0", port: "${env.MY_TOKEN}"',
        'action_type: "download", model_name: m, device: "node1:disk", source: "${env.MY_TOKEN}"',
    ],
)
def test_what_looks_like_a_secret_is_in_no_error_of_an_action(
    tmp_path: Path, inventory: Inventory, token: str, action: str
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(f"- {{action_id: a, {action}}}")
    with pytest.raises(PlaybookError) as caught:
        plan(load(file, environ={"MY_TOKEN": token}), inventory)
    assert "LEAKME" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize(
    ("token", "said"), [("abcd", "hidden like one"), ("abc", "fewer than 4 characters")]
)
def test_it_says_whether_what_looks_like_a_secret_is_hidden(
    tmp_path: Path, inventory: Inventory, token: str, said: str
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text('- {action_id: a, action_type: noop, message: "${env.MY_TOKEN}"}')
    playbook = load(file, environ={"MY_TOKEN": token})
    shown = plan(playbook, inventory).actions[0].summary
    (notice,) = playbook.notices()
    assert said in notice.message
    assert (shown == "***") is ("fewer" not in said)
