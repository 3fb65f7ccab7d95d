"""The user's settings: defaults, file, environment, and what is said about wrong ones."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from gswarm_tui.config import SETTINGS, Config, QueueConfig, Retention, load
from gswarm_tui.errors import UsageError
from gswarm_tui.home import Home

# Seed 001's own example.
SEED = """\
cluster:
  host: "master.cluster.local"
  port: 8090
profiling:
  default_frequency: 1000
models:
  storage_path: "/data/models"
  cache_size: "100GB"
queue:
  max_concurrent_tasks: 4
  task_timeout: 3600
  retry_count: 3
nodes:
  - name: "node1"
    address: "192.168.1.101"
"""


def written(folder: Path, text: str) -> Home:
    (folder / "config.yaml").write_text(text)
    return Home(folder)


def test_without_a_file_all_is_as_the_dataclasses_say(tmp_path: Path) -> None:
    assert load(Home(tmp_path / "nothing"), {}) == Config(QueueConfig(), Retention())
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("text", ["", "# all as it is\n", "queue:\nretention: {}\n"])
def test_an_empty_file_says_nothing(tmp_path: Path, text: str) -> None:
    assert load(written(tmp_path, text), {}) == Config()


def test_the_first_designs_file_is_read(tmp_path: Path) -> None:
    config = load(written(tmp_path, SEED), {})
    assert config == Config(
        QueueConfig(max_concurrent_tasks=4, task_timeout_s=3600.0, retry_count=3)
    )


def test_every_setting_can_be_written_in_the_file(tmp_path: Path) -> None:
    home = written(
        tmp_path,
        "queue:\n  max_concurrent_tasks: 1\n  max_tasks_per_node: 2\n  max_transfers_per_node: 3\n"
        "  task_timeout: 10m\n  job_timeout: 2h\n  retry_count: 0\n  retry_backoff: 500ms\n"
        "  retry_max_backoff: 7\nretention: {days: 5, jobs: 6, size: 7GB}\n",
    )
    queue = QueueConfig(1, 2, 3, 600.0, 7200.0, 0, 0.5, 7.0)
    assert load(home, {}) == Config(queue, Retention(5, 6, 7 * 10**9))


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    environ = {
        "GSWARM_QUEUE_MAX_CONCURRENT_TASKS": "9",
        "GSWARM_QUEUE_TASK_TIMEOUT": "2h",
        "GSWARM_QUEUE_RETRY_COUNT": "",  # empty: not set
        "GSWARM_RETENTION_SIZE": "5MB",
    }
    config = load(written(tmp_path, SEED), environ)
    assert config.queue == QueueConfig(max_concurrent_tasks=9, task_timeout_s=7200.0)
    assert config.retention == Retention(size=5_000_000)


def test_each_field_is_one_setting() -> None:
    for section, kind in (("queue", QueueConfig), ("retention", Retention)):
        fields = [setting.field for setting in SETTINGS if setting.section == section]
        assert fields == [field.name for field in dataclasses.fields(kind)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("que:\n", ["1:1: unknown key `que`; did you mean `queue`?"]),
        (
            "queue:\n  retry_cout: 1\nretention:\n  colour: red\n",
            [
                "2:3: queue: unknown key `retry_cout`; did you mean `retry_count`?",
                "4:3: retention: unknown key `colour`; known here: days, jobs, size",
            ],
        ),
        (
            "queue:\n  max_concurrent_tasks: 0\n  task_timeout: soon\n  retry_count: yes\n",
            [
                "2:25: queue.max_concurrent_tasks: expected a whole number of at least 1, found 0",
                "3:17: queue.task_timeout: expected a length of time such as 90s, 10m or 2h"
                " (or seconds), found 'soon'",
                "4:16: queue.retry_count: expected a whole number of at least 0, found True",
            ],
        ),
        (
            "queue: {job_timeout: 0}\n",
            [
                "1:22: queue.job_timeout: a time limit of 0 would end everything at once;"
                " for none, leave it out"
            ],
        ),
        (
            "retention: {size: 5G}\n",
            [
                "1:19: retention.size: `5G` could mean two things: write GB (1000-based)"
                " or GiB (1024-based)"
            ],
        ),
        (
            "retention: {size: [1]}\n",
            ["1:19: retention.size: expected an amount of bytes such as 500GB, found [1]"],
        ),
        ("queue: 4\n", ["1:8: queue: expected a mapping"]),
        ("[queue]\n", ["1:1: expected a mapping of sections: queue, retention, tui"]),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: list[str]) -> None:
    home = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load(home, {})
    assert str(caught.value).splitlines() == [f"{home.config}:{line}" for line in said]


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a whole number of at least 1") as caught:
        load(Home(tmp_path), {"GSWARM_QUEUE_MAX_TASKS_PER_NODE": "many"})
    assert caught.value.where == "$GSWARM_QUEUE_MAX_TASKS_PER_NODE"


GUIDE = (Path(__file__).parents[1] / "docs" / "state.md").read_text()


def test_the_guides_table_is_what_the_code_reads() -> None:
    rows = re.findall(r"^\| `(\w+)\.(\w+)` \| `(\w+)` \| (\S+) \|", GUIDE, re.MULTILINE)
    assert [row[:3] for row in rows] == [
        (setting.section, setting.key, setting.variable) for setting in SETTINGS
    ]
    for (*_, default), setting in zip(rows, SETTINGS, strict=True):
        section = getattr(Config(), setting.section)
        value = None if default == "none" else setting.read(default)
        assert (getattr(section, setting.field) or None) == value, setting.key


def test_the_guides_example_is_read(tmp_path: Path) -> None:
    example = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)[0]
    assert load(written(tmp_path, example), {}) == Config(QueueConfig(task_timeout_s=7200.0))


def test_the_terminal_s_theme_and_keys(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (tmp_path / "config.yaml").write_text(
        "tui:\n  theme: light\n  keys: {go-to: ctrl+g, sort: 5}\n"
    )
    loaded = load(home, {}).tui
    assert (loaded.theme, loaded.keys) == ("light", {"go-to": "ctrl+g", "sort": "5"})
    assert loaded.key_places["sort"] == f"{home.config}:3:25"
    env = {"GSWARM_TUI_THEME": "ansi", "GSWARM_TUI_KEYS": "go-to=f1 sort=s"}
    loaded = load(home, env).tui
    assert (loaded.theme, loaded.keys) == ("ansi", {"go-to": "f1", "sort": "s"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tui: {theme: drak}", "tui.theme: expected one of dark, light, ansi, found 'drak'; did"),
        ("tui: {keys: [a]}", "tui.keys: expected a mapping"),
        ("tui: {keys: {sort: true}}", "tui.keys: `sort` needs the name of a key"),
        ("tui: {keys: {sort: true, up: ' '}}", "not True; `up` needs the name of a key"),
        ("tui: {colour: red}", "unknown key `colour`"),
    ],
)
def test_wrong_settings_of_the_terminal(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load(Home(tmp_path), {})
    assert said in str(caught.value)
    assert "config.yaml:1:" in str(caught.value)
