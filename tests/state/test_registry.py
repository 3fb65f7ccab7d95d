from collections.abc import Iterator
from pathlib import Path

import pytest

from gswarm_tui.state.database import Database
from gswarm_tui.state.models import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Database(tmp_path / "state.db") as database:
        yield Registry(database)


def test_a_registered_model_is_found_again(tmp_path: Path) -> None:
    requirements = {"min_vram": 8_000_000_000, "gpu_arch": ["sm_90"]}
    with Database(tmp_path / "state.db") as database:
        put = Registry(database).put(
            "llama-7b",
            source="hf://org/llama",
            type="llm",
            description="chat",
            tags=["llm", "chat"],
            requirements=requirements,
        )
    with Database(tmp_path / "state.db") as database:
        assert Registry(database).get("llama-7b") == put
    assert put.tags == ("llm", "chat")
    assert put.requirements == requirements
    assert put.created_at == put.updated_at


def test_what_is_not_given_stays(registry: Registry) -> None:
    before = registry.put("m", source="hf://a/b", type="llm", tags=["x"])
    after = registry.put("m", description="new")
    assert (after.source, after.type, after.tags) == (before.source, before.type, before.tags)
    assert after.description == "new"
    assert after.created_at == before.created_at


def test_putting_the_same_again_changes_nothing(registry: Registry) -> None:
    before = registry.put("m", source="hf://a/b")
    registry._database.execute("UPDATE models SET updated_at = 'then'")
    assert registry.put("m", source="hf://a/b").updated_at == "then"
    assert registry.put("m", source="hf://a/c").updated_at != "then"
    assert before.source == "hf://a/b"


def test_models_are_listed_by_name_and_removed(registry: Registry) -> None:
    registry.put("b")
    registry.put("a")
    assert [model.name for model in registry.list()] == ["a", "b"]
    assert registry.remove("a")
    assert not registry.remove("a")
    assert registry.get("a") is None
