"""Packages that are unpacked when they are first imported, each in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from gswarm_remote import packed

from gswarm_tui.connect import bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle with one package in ``vendor`` and two subpackages of ours, all in parts."""
    parts = {
        "toy": {"toy/__init__.py": b"from . import inner\n", "toy/inner.py": b"x = 1\n"},
        "gswarm_remote.late": {"late/__init__.py": b"y = 2\n"},
        "gswarm_remote.later": {"later/__init__.py": b"z = 3\n"},
    }
    source = Path(packed.__file__).read_text()
    for place in ("parts", "vendor", "gswarm_remote"):
        (tmp_path / place).mkdir()
    (tmp_path / "gswarm_remote" / "packed.py").write_text(source)
    (tmp_path / "gswarm_remote" / "__init__.py").write_bytes(
        bundle.sources()["gswarm_remote/__init__.py"]
    )
    for name, files in parts.items():
        (tmp_path / "parts" / name).write_bytes(bundle.pack(files))
    return tmp_path


def run(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    start = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(folder / 'vendor')!r}]\n"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", start + program],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_package_is_unpacked_when_it_is_imported(folder: Path) -> None:
    assert run(folder, "import gswarm_remote").returncode == 0
    assert list((folder / "vendor").iterdir()) == []
    done = run(folder, "import gswarm_remote, toy\nprint(toy.inner.x)")
    assert done.stdout == "1\n", done.stderr
    assert [path.name for path in (folder / "vendor").iterdir()] == ["toy"]
    assert not (folder / "gswarm_remote" / "late").exists()


def test_a_subpackage_of_ours_is_too(folder: Path) -> None:
    done = run(folder, "from gswarm_remote import late, later\nprint(late.y, later.z)")
    assert done.stdout == "2 3\n", done.stderr


def test_what_is_nowhere_is_an_import_error(folder: Path) -> None:
    program = (
        "import gswarm_remote\n"
        "for name in ('nowhere', 'toy.nothing', 'gswarm_remote.nothing'):\n"
        "    try: __import__(name)\n"
        "    except ModuleNotFoundError as error: print(error.name)\n"
    )
    assert run(folder, program).stdout.split() == [
        "nowhere",
        "toy.nothing",
        "gswarm_remote.nothing",
    ]


def test_a_part_that_cannot_be_unpacked_says_why(folder: Path) -> None:
    (folder / "vendor").rmdir()
    done = run(folder, "import gswarm_remote, toy")
    assert "ImportError" in done.stderr
    assert "cannot be unpacked" in done.stderr


@pytest.mark.parametrize("left", [b"", b"\0\0\0\0\0\0", None])
def test_a_package_that_a_power_failure_damaged_is_unpacked_again(
    folder: Path, left: bytes | None
) -> None:
    program = "import gswarm_remote, toy\nprint(toy.inner.x)"
    assert run(folder, program).stdout == "1\n"
    damaged = folder / "vendor" / "toy" / "inner.py"
    damaged.unlink() if left is None else damaged.write_bytes(left)
    assert run(folder, program).stdout == "1\n"
    assert damaged.read_bytes() == b"x = 1\n"
    assert [path.name for path in (folder / "vendor").iterdir()] == ["toy"]


def test_a_whole_package_is_left_as_it_is(folder: Path) -> None:
    program = "import gswarm_remote, toy\nprint(toy.inner.x)"
    run(folder, program)
    before = (folder / "vendor" / "toy").stat().st_ino
    assert run(folder, program).stdout == "1\n"
    assert (folder / "vendor" / "toy").stat().st_ino == before


@pytest.mark.parametrize("left", [b"", b"\0" * 50])
def test_a_damaged_part_says_so_and_has_the_bundle_sent_again(folder: Path, left: bytes) -> None:
    (folder / "index").touch()
    (folder / "parts" / "toy").write_bytes(left)
    assert "is damaged" in run(folder, "import gswarm_remote, toy").stderr
    assert not (folder / "index").exists()


def test_many_at_once(folder: Path) -> None:
    part, place = folder / "parts" / "toy", folder / "vendor"
    threads = [threading.Thread(target=packed.unpack, args=(part, place)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in (folder / "vendor").iterdir()] == ["toy"]
    assert (folder / "vendor" / "toy" / "inner.py").read_bytes() == b"x = 1\n"


def test_what_another_process_put_there_meanwhile_is_not_moved(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, place = folder / "parts" / "toy", folder / "vendor"
    look, found = packed._all_there, []

    def look_too_early(there: Path, files: dict[str, bytes]) -> bool:
        if found:
            return look(there, files)
        found.append(0)
        packed.unpack(part, place)  # the other process, which imports from it by now
        found.append((place / "toy").stat().st_ino)
        return False

    monkeypatch.setattr(packed, "_all_there", look_too_early)
    packed.unpack(part, place)
    assert (place / "toy").stat().st_ino == found[1]
