from __future__ import annotations

import json
from typing import Any

import pytest

from gswarm_tui import sources
from gswarm_tui.sources.base import Resolved, SourceFile

from ..models.fake import SIZE, FakeFleet
from .conftest import Command


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []

    async def resolve(reference: str, **options: Any) -> Resolved:
        asked.append(reference)
        file = SourceFile("a", SIZE, "ab" * 32, url="https://h.example/a")
        return Resolved(reference, "fetch", "m", "c1", (file,), origin="https://h.example:443")

    monkeypatch.setattr(sources, "resolve", resolve)
    return asked


# The commands of the source documents, as they stand there


@pytest.mark.parametrize(
    "source",
    [
        ("--source", "huggingface", "--url", "https://huggingface.co/meta-llama/Llama-3.1-8B"),
        ("--source", "hf://meta-llama/Llama-3.1-8B"),
        ("--url", "https://huggingface.co/meta-llama/Llama-3.1-8B"),
    ],
)
def test_download_from_the_hub_in_every_spelling(
    gswarm: Command, fleet: FakeFleet, hub: list[str], source: tuple[str, ...]
) -> None:
    ended = gswarm(
        "model", "download", "llama-7b", *source, "--node", "node1", "--type", "llm", "--json"
    )
    assert ended.code == 0, ended.err
    assert ended.document["device"] == "node1:disk"
    assert ended.err == ""
    assert hub[0].endswith("meta-llama/Llama-3.1-8B")
    assert fleet["node1"].tiers("llama-7b") == ["disk"]


def test_the_way_of_a_model_through_its_verbs(
    gswarm: Command, fleet: FakeFleet, hub: list[str]
) -> None:
    registered = gswarm(
        *("model", "register", "tiny", "--type", "llm", "--url", "https://huggingface.co/org/tiny"),
        *("--desc", "small", "--tag", "chat", "--min-vram", "8GB"),
    )
    assert registered.out == "tiny is registered, from hf://org/tiny\n"
    assert gswarm("model", "download", "tiny", "--node", "node1").code == 0
    moved = gswarm("model", "move", "tiny", "--from", "disk", "--to", "gpu0", "--node", "node1")
    assert moved.out.splitlines()[-1] == "node1:disk keeps its copy"
    served = gswarm(
        "model", "serve", "tiny", "--device", "gpu0", "--port", "8080", "--node", "node1"
    )
    assert "ssh -L 8080:127.0.0.1:8080 -N ada@10.0.0.1" in served.out
    status = gswarm("model", "status", "tiny", "--node", "node1")
    assert status.out.startswith("tiny: serving\n")
    info = gswarm("model", "info", "tiny").out
    for words in ("hf://org/tiny", "small", "8.0 GB", "node1:gpu0", "http://node1:8080"):
        assert words in info
    assert gswarm("model", "service-health", "tiny").code == 0
    services = gswarm("model", "services", "--json").document["services"]
    assert [service["url"] for service in services] == ["http://node1:8080"]
    assert gswarm("model", "stop", "tiny").out == "tiny is not served any more on node1:gpu0\n"
    assert gswarm("model", "stop", "tiny").out == "tiny was not served\n"
    refused = gswarm("model", "unregister", "tiny")
    assert refused.code == 1
    assert "tiny is on node1:gpu0, node1:disk" in refused.err
    deleted = gswarm("model", "delete", "tiny", "--device", "node1:gpu0,node1:disk")
    assert deleted.out == "deleted tiny from node1:gpu0, node1:disk, 1.0 kB freed\n"
    assert gswarm("model", "unregister", "tiny").out == "tiny is not registered any more\n"
    assert gswarm("model", "info", "tiny").code == 2


def test_a_device_with_its_node_is_the_same_as_a_device_and_a_node(
    gswarm: Command, fleet: FakeFleet
) -> None:
    fleet["node1"].has("tiny")
    one = gswarm("model", "serve", "tiny", "--device", "gpu0", "--node", "node1", "--json")
    two = gswarm("model", "serve", "tiny", "--device", "node1:gpu0", "--json")
    assert two.document == {**one.document, "already": True}
    both = gswarm("model", "serve", "tiny", "--device", "node1:gpu0", "--node", "node2")
    assert both.code == 2
    assert "node1:gpu0 is on node1, and --node asks for node2" in both.err


def test_with_several_nodes_one_has_to_be_named(gswarm: Command, hub: list[str]) -> None:
    ended = gswarm("model", "download", "tiny", "--source", "hf://org/tiny")
    assert ended.code == 2
    assert "which node? The inventory has node1, node2, node3" in ended.err
    assert "in the device: node1:disk" in ended.err


def test_several_nodes_by_a_pattern(gswarm: Command, fleet: FakeFleet, hub: list[str]) -> None:
    arguments = ("model", "download", "tiny", "--source", "hf://org/tiny", "--node", "node[1-2]")
    assert gswarm(*arguments, "--json").document["devices"] == ["node1:disk", "node2:disk"]
    assert len(hub) == 1
    again = gswarm(*arguments)
    assert again.out == "tiny was on node1:disk, node2:disk already (1.0 kB)\n"
    assert "download tiny: resolve" in again.err


def test_copy_and_what_it_says(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    ended = gswarm(
        "model", "copy", "tiny", "--from", "node1:disk", "--to", "node2:disk", "--to", "node3:dram"
    )
    assert ended.code == 0
    assert ended.out.startswith("tiny is on node2:disk, node3:dram: copied 1.0 kB in ")
    ambiguous = gswarm(
        "model", "copy", "tiny", "--from", "disk", "--to", "dram", "--node", "node[1-2]"
    )
    assert ambiguous.code == 2
    assert "disk is on several nodes: node1:disk, node2:disk" in ambiguous.err


@pytest.mark.parametrize(
    ("location", "names"),
    [
        ("node1", ["here"]),
        ("node1:disk", ["here"]),
        ("dram", ["there"]),
        ("gpu", []),
        ("label:rack=b", ["there"]),
    ],
)
def test_list_by_location(
    gswarm: Command, fleet: FakeFleet, location: str, names: list[str]
) -> None:
    fleet["node1"].has("here")
    fleet["node2"].has("there", tier="dram")
    document = gswarm("model", "list", "--location", location, "--json").document
    assert [model["name"] for model in document["models"]] == names
    assert document["total_count"] == len(names)


def test_list_shows_what_it_can_and_names_what_it_can_not_see(
    gswarm: Command, fleet: FakeFleet
) -> None:
    fleet["node3"].unreachable = "no route"
    empty = gswarm("model", "list")
    assert empty.code == 3
    assert "no models; register one" in empty.err
    assert "node3: no route" in empty.err
    made = fleet["node1"].has("tiny")
    ended = gswarm("model", "list", "--verbose")
    assert ended.code == 3
    assert f"/node1/disk/tiny/{made.revision}" in ended.out
    assert "no route" not in ended.out


def test_settings_of_an_engine_are_read_as_yaml(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    gswarm(
        *(
            "model",
            "serve",
            "tiny",
            "--device",
            "node1:gpu0",
            "--engine",
            "vllm",
            "--timeout",
            "2m",
        ),
        *("--config", "max_model_len=256", "--config", "args=[--enforce-eager]"),
    )
    (sent,) = fleet["node1"].asked("service.start")
    assert sent["config"] == {"max_model_len": 256, "args": ["--enforce-eager"]}
    assert (sent["engine"], sent["timeout_s"]) == ("vllm", 120)
    never = gswarm("model", "serve", "tiny", "--device", "node1:gpu0", "--timeout", "0")
    assert (never.code, "--timeout: a time limit of 0 would end" in never.err) == (2, True)
    wrong = gswarm("model", "serve", "tiny", "--device", "node1:gpu0", "--config", "novalue")
    assert (wrong.code, "--config novalue is not KEY=VALUE" in wrong.err) == (2, True)


def test_service_health_fails_where_one_does(gswarm: Command, fleet: FakeFleet) -> None:
    for node in ("node1", "node2"):
        fleet[node].has("tiny")
        gswarm("model", "serve", "tiny", "--device", f"{node}:gpu0")
    completion = {"body": json.dumps({"choices": [{"text": " hi"}]})}
    fleet["node1"].answers["http /v1/completions"] = completion
    fleet["node2"].answers["http /health"] = {"status": 500, "body": "boom"}
    ended = gswarm("model", "service-health", "tiny", "--prompt", "say", "--json")
    assert ended.code == 1
    one, two = ended.document["checks"]
    assert (one["ok"], one["completion"]) == (True, " hi")
    assert (two["ok"], two["error"]) == (False, "GET /health was answered with 500: boom")
    assert gswarm("model", "service-health", "other").code == 1


def test_verify_fails_where_a_file_is_damaged(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    assert gswarm("model", "verify", "tiny").out == "node1:disk: as published\n"
    bad = [{"path": "a", "reason": "other bytes"}]
    fleet["node1"].answers["model.verify"] = {"ok": False, "bad": bad, "shared_with": ["twin 0a1b"]}
    ended = gswarm("model", "verify", "tiny", "--node", "node1")
    assert ended.code == 1
    assert ended.out.splitlines() == [
        "node1:disk: damaged",
        "  a: other bytes",
        "  the same files belong to twin 0a1b",
    ]
    assert ended.err.splitlines()[-3:] == [
        "  hint: to repair node1:disk:",
        "    gswarm model download tiny --source hf://org/tiny --device node1:disk",
        "    gswarm model download twin --device node1:disk",
    ]
    nowhere = gswarm("model", "verify", "tiny", "--node", "node2")
    assert "tiny has no whole copy on node2" in nowhere.err


def test_what_is_to_be_typed_holds_no_names_that_none_could_have(
    gswarm: Command, fleet: FakeFleet
) -> None:
    fleet["node1"].has("tiny")
    names = ["--all r1", "x\x1b]0;hi\x07 r1", "$(reboot) r1", "", "twin r1"]
    fleet["node1"].answers["model.verify"] = {
        "ok": False,
        "bad": [{"path": "\x1b[31ma", "reason": "other bytes"}],
        "shared_with": names,
    }
    ended = gswarm("model", "verify", "tiny")
    assert ended.code == 1
    assert "\x1b" not in ended.out + ended.err
    assert ended.err.splitlines()[-2:] == [
        "    gswarm model download tiny --source hf://org/tiny --device node1:disk",
        "    gswarm model download twin --device node1:disk",
    ]


def test_a_damaged_copy_is_shown_with_its_files(gswarm: Command, fleet: FakeFleet) -> None:
    copy = fleet["node1"]._copy("disk", fleet["node2"].has("tiny", revision="r1"))
    bad = {"state": "damaged", "damaged": ["w.bin"], "verified_at": "2026-11-21T03:00:00Z"}
    fleet["node1"].partial.append({**copy, **bad})
    fleet["node2"].manifests.clear()
    ended = gswarm("model", "status", "tiny")
    assert ended.out.startswith("tiny: damaged\n")
    assert "damaged: w.bin" in ended.out
    checks = gswarm("health", "--json").document["checks"]
    assert [(check["check"], check["detail"]) for check in checks if not check["ok"]] == [
        (
            "files of tiny",
            "node1:disk is damaged: w.bin; see: gswarm model verify tiny --device node1:disk",
        )
    ]


def test_scan_shows_and_adopts(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node1"].found = [
        {
            "path": "/hf/big",
            "name": "big",
            "revision": None,
            "source": "hf://org/big",
            "files": 1,
            "size": SIZE,
            "adoptable": True,
            "reason": None,
        }
    ]
    shown = gswarm("model", "scan", "node1", "--path", "/h f")
    assert "can be adopted" in shown.out
    assert "gswarm model scan node1 --path '/h f' --adopt" in shown.err
    adopted = gswarm("model", "scan", "node1", "--adopt", "--how", "link")
    assert "adopted as node1:disk" in adopted.out
    assert "big is registered" in adopted.out
    assert fleet["node1"].asked("model.adopt")[0]["how"] == "link"


@pytest.mark.parametrize(
    "arguments",
    [
        ("model", "list"),
        ("model", "info", "tiny"),
        ("model", "status", "tiny"),
        ("model", "register", "tiny", "--source", "hf://org/tiny"),
        ("model", "download", "tiny", "--source", "hf://org/tiny", "--node", "node1"),
        ("model", "copy", "tiny", "--from", "node1:disk", "--to", "node2:disk"),
        ("model", "move", "tiny", "--from", "node1:disk", "--to", "node2:disk"),
        ("model", "delete", "tiny", "--device", "node1:disk"),
        ("model", "serve", "tiny", "--device", "node1:gpu0"),
        ("model", "stop", "tiny"),
        ("model", "services"),
        ("model", "verify", "tiny"),
        ("model", "scan"),
        ("model", "unregister", "tiny", "--force"),
        ("nodes",),
        ("status",),
        ("health",),
        ("node", "status", "node1"),
        ("down",),
    ],
    ids=" ".join,
)
def test_json_is_one_document_and_nothing_else(
    gswarm: Command, fleet: FakeFleet, hub: list[str], arguments: tuple[str, ...]
) -> None:
    fleet["node1"].has("tiny")
    ended = gswarm(*arguments, "--json")
    assert ended.code == 0, ended.err
    assert isinstance(ended.document, dict)
    assert ended.err == ""


def test_a_mistyped_name_is_an_error_of_usage_in_every_verb(
    gswarm: Command, fleet: FakeFleet
) -> None:
    fleet["node2"].has("tiny")
    fleet["node3"].unreachable = "off"
    for arguments in (
        ("stop", "tinny"),
        ("stop", "tinny", "--node", "node1"),
        ("services", "tinny"),
        ("delete", "tinny", "--device", "node1:disk"),
        ("serve", "tinny", "--device", "node1:gpu0"),
        ("verify", "tinny"),
        ("move", "tinny", "--from", "node1:disk", "--to", "node2:disk"),
        ("copy", "tinny", "--from", "node1:disk", "--to", "node2:disk"),
        ("status", "tinny"),
    ):
        ended = gswarm("model", *arguments)
        assert ended.code == 2, arguments
        assert "no model is called tinny; did you mean `tiny`" in ended.err
        assert "node3 did not answer" in ended.err


def test_delete_says_what_was_there_and_what_stays(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    ended = gswarm("model", "delete", "tiny", "--device", "node1:disk", "--device", "node1:dram")
    assert ended.out == ("deleted tiny from node1:disk, 1.0 kB freed\ntiny was not on node1:dram\n")
    fleet["node1"].has("tiny")
    fleet["node1"].answers["model.delete"] = {"removed": ["tiny"], "freed": 0}
    shared = gswarm("model", "delete", "tiny", "--device", "node1:disk")
    assert shared.out == "deleted tiny from node1:disk, 0 B freed; files that others share stay\n"


def test_serving_where_the_model_is_not_says_where_it_is(gswarm: Command, fleet: FakeFleet) -> None:
    gswarm("model", "register", "tiny", "--source", "hf://org/tiny")
    nowhere = gswarm("model", "serve", "tiny", "--device", "node1:gpu0")
    assert "hint: first: gswarm model download tiny --device node1:disk" in nowhere.err
    fleet["node2"].has("tiny")
    ended = gswarm("model", "serve", "tiny", "--device", "node1:gpu0")
    assert ended.code == 1
    assert "tiny is not on node1; it is on node2:disk" in ended.err
    assert "gswarm model copy tiny --from node2:disk --to node1:disk" in ended.err
    assert fleet["node1"].asked("service.start") == []


def test_what_could_not_be_asked_is_unknown(gswarm: Command, fleet: FakeFleet) -> None:
    assert gswarm("model", "register", "tiny").out == "tiny is registered, without a source\n"
    assert "no services\n" in gswarm("model", "services").err
    fleet["node1"].has("tiny")
    gswarm("model", "serve", "tiny", "--device", "node1:gpu0")
    fleet["node3"].unreachable = "off"
    assert "no services on the nodes that answer" in _after_stop(gswarm)
    gswarm("model", "serve", "tiny", "--device", "node1:gpu0")
    ended = gswarm("model", "unregister", "tiny", "--force")
    assert ended.code == 3
    assert ended.out.startswith("stopped 1 service\ndeleted from node1:gpu0\n")
    assert "left on node3" in ended.err


def _after_stop(gswarm: Command) -> str:
    gswarm("model", "stop", "tiny", "--device", "node1:gpu0")
    return gswarm("model", "services").err


@pytest.mark.parametrize("before", [False, True], ids=["new", "registered"])
def test_a_failed_download_registers_nothing(
    gswarm: Command, fleet: FakeFleet, hub: list[str], before: bool
) -> None:
    if before:
        gswarm("model", "register", "tiny", "--source", "hf://org/tiny")
    fleet["node1"].refuse("model.fetch", "no_space", "the disk is full")
    ended = gswarm("model", "download", "tiny", "--source", "hf://org/tiny", "--node", "node1")
    assert ended.code == 1
    assert gswarm("model", "list", "--json").document["total_count"] == int(before)
