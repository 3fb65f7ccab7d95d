from __future__ import annotations

from typing import TYPE_CHECKING

from gswarm_tui.devices import parse
from gswarm_tui.errors import UnreachableError
from gswarm_tui.models import Models

if TYPE_CHECKING:
    from .fake import FakeFleet


async def test_gpus_that_are_not_there_are_named_with_what_is(
    models: Models, fleet: FakeFleet
) -> None:
    fleet.node("node1").info["gpus"] = [{"index": 0}, {"index": 1}]
    fleet.node("node2").info["gpus"] = []
    there, gone, none = parse("node1:gpu1"), parse("node1:gpu2"), parse("node2:gpu0")
    assert await models.missing_gpus([there, gone, none, parse("node2:disk")]) == {
        gone: "node1 has no gpu2 (it has gpu0, gpu1)",
        none: "node2 has no gpu0 (it has none)",
    }


async def test_a_node_that_cannot_tell_says_why(models: Models, fleet: FakeFleet) -> None:
    fleet.node("node1").info |= {"gpus": None, "gpus_error": "no driver"}
    (reason,) = (await models.missing_gpus([parse("node1:gpu0")])).values()
    assert reason == "whether node1 has gpu0 cannot be told: no driver"


async def test_only_nodes_with_gpus_in_question_are_asked(models: Models, fleet: FakeFleet) -> None:
    fleet.node("node1").errors["node.info"] = UnreachableError("refused", where="node1")
    assert await models.missing_gpus([parse("node1:gpu0"), parse("node2:disk")]) == {}
    assert fleet.node("node1").asked("node.info") == [{}]
    assert fleet.node("node2").calls == []
