from __future__ import annotations

from pathlib import Path

from gswarm_tui.jobs import logs
from gswarm_tui.watch import tail


def test_what_is_there_then_what_comes(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    reader = tail.Tail(path)
    assert reader.read() == ""  # it is not there yet
    path.write_bytes(b"one\ntw")
    assert reader.read() == "one\ntw"
    assert reader.read() == ""
    with path.open("ab") as file:
        file.write(b"o\r\nthree\rfour\r")
    assert reader.read() == "o\nthree\nfour"
    with path.open("ab") as file:
        file.write(b"\nfive")
    assert reader.read() == "\nfive"


def test_bytes_of_all_kinds(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes("é".encode()[:1])
    reader = tail.Tail(path)
    assert reader.read() == ""
    with path.open("ab") as file:
        file.write("é".encode()[1:] + b"\xff\x00")
    assert reader.read() == "é\ufffd\x00"


def test_of_a_huge_file_the_end_is_given(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"x" * (tail.SHOWN + 100) + b"end\n")
    text = tail.Tail(path).read()
    assert text.startswith("… 104 bytes before this\n")
    assert text.endswith("end\n")
    assert len(text) < tail.SHOWN + 100


def test_a_file_that_was_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("a long line\n")
    reader = tail.Tail(path)
    reader.read()
    path.write_text("new\n")
    assert reader.read() == "new\n"


async def test_following_waits_for_the_file(tmp_path: Path) -> None:
    path = tail.log_path(tmp_path, 7, "fetch", 2)
    assert path == logs.attempt_log(tmp_path, 7, "fetch", 2)
    assert tail.log_path(tmp_path, 7, None, 0) == logs.job_log(tmp_path, 7)
    path.parent.mkdir()
    path.write_text("hello\n")
    follower = tail.follow(path, poll_s=0)
    assert await anext(follower) == "hello\n"
    await follower.aclose()  # type: ignore[attr-defined]
    assert [text async for text in tail.nothing()] == []
