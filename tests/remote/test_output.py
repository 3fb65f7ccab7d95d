"""Output in parts: whatever is joined or repeated on the way, all of it arrives once."""

from __future__ import annotations

from typing import Any

from gswarm_remote import output
from gswarm_remote.output import Trimmer
from hypothesis import given
from hypothesis import strategies as st

TEXT = "".join(chr(letter) for letter in range(33, 127)) * 2


def report(start: int, end: int, **more: Any) -> dict[str, Any]:
    return {"phase": "running", "output": TEXT[start:end], "start": start, "end": end, **more}


@st.composite
def deliveries(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """Reports in the order of their ends, some told again from further back, in bundles."""
    cuts = sorted(draw(st.sets(st.integers(1, len(TEXT)), min_size=1, max_size=12)))
    reports, start = [], 0
    for end in cuts:
        again = draw(st.integers(0, start))
        reports.append(report(draw(st.sampled_from([start, again])), end))
        start = end
    sizes = draw(st.lists(st.integers(1, 4), min_size=len(reports), max_size=len(reports)))
    bundles: list[list[dict[str, Any]]] = []
    while reports:
        size = sizes.pop()
        bundles.append(reports[:size])
        reports = reports[size:]
    return bundles


@given(deliveries())
def test_everything_arrives_once_and_in_order(bundles: list[list[dict[str, Any]]]) -> None:
    trimmer, seen = Trimmer(), ""
    for bundle in bundles:
        pending: dict[str, Any] | None = None
        for part in bundle:
            pending = output.joined(pending, part)
        assert pending is not None
        new = trimmer.new(pending)
        seen += new["output"] if new else ""
    assert seen == TEXT[: bundles[-1][-1]["end"]]


def test_what_is_told_beside_the_output_is_the_newest() -> None:
    joined = output.joined({"phase": "a", "done": 1}, report(0, 3))
    assert joined == report(0, 3)
    later = output.joined(joined, {"phase": "b", "message": "m"})
    assert later == report(0, 3, phase="b", message="m")
    assert output.joined({"done": 1}, {"done": 2}) == {"done": 2}


def test_what_waits_too_long_loses_its_beginning() -> None:
    most = output.MOST
    old = {"output": "a" * most, "start": 0, "end": most}
    new = {"output": "bb", "start": most, "end": most + 2}
    joined = output.joined(old, new)
    assert (joined["start"], joined["end"], len(joined["output"])) == (2, most + 2, most)
    assert joined["output"].endswith("abb")


def test_a_report_without_output_passes() -> None:
    assert Trimmer().new({"phase": "running"}) == {"phase": "running"}
