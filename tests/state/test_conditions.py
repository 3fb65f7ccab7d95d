"""What a machine can do to a database: fill its disk, lock it, take its writes away, kill."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gswarm_tui.errors import StateError
from gswarm_tui.state import database as module
from gswarm_tui.state import filesystem
from gswarm_tui.state.database import Database
from gswarm_tui.state.filesystem import network_filesystem
from gswarm_tui.state.repair import repair

ADD = "INSERT INTO models VALUES (?, NULL, NULL, NULL, '[]', ?, 't', 't')"
BLOCK = "x" * 20_000

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A filesystem of its own at ``folder``."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def names(path: Path) -> set[str]:
    with Database(path) as database:
        return {row["name"] for row in database.query("SELECT name FROM models")}


def fill(database: Database) -> set[str]:
    """Add models until it fails; returns those whose writing was not refused."""
    added: set[str] = set()
    for number in range(1000):
        try:
            database.execute(ADD, (f"m{number}", BLOCK))
        except StateError:
            break
        added.add(f"m{number}")
    return added


@needs_root
def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    """The log of writes cannot be merged into the file either: that must cost nothing."""
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=1m", "tmpfs") as disk:
        path = disk / "gswarm.db"
        with Database(path) as database:
            added = fill(database)
            assert len(added) > 10
            with pytest.raises(StateError, match="its disk is full") as caught:
                database.execute(ADD, ("more", BLOCK * 10))
            assert caught.value.hint is not None
            assert "make room" in caught.value.hint
            with pytest.raises(StateError, match="its disk is full"), database.transaction():
                database.execute(ADD, ("more", BLOCK * 10))
            assert {row["name"] for row in database.query("SELECT name FROM models")} == added
        assert path.with_name("gswarm.db-wal").stat().st_size > 0  # it could not be merged
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        assert names(path) == added
        with Database(path) as database:
            database.execute(ADD, ("more", BLOCK))


@needs_root
@pytest.mark.parametrize(
    ("room", "said"), [(100_000, "No space left"), (440_000, "its disk is full")]
)
def test_a_repair_that_has_no_room_changes_nothing(room: int, said: str, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=2m", "tmpfs") as disk:
        path = disk / "gswarm.db"
        with Database(path) as database:
            for number in range(15):
                database.execute(ADD, (f"m{number}", BLOCK))
        damaged = b"\0garbage" * 10 + path.read_bytes()[80:]
        path.write_bytes(damaged)
        state = os.statvfs(disk)
        (disk / "other").write_bytes(b"x" * (state.f_bavail * state.f_frsize - room))
        with pytest.raises(StateError, match=said):
            repair(path)
        assert path.read_bytes() == damaged
        assert {file.name for file in disk.iterdir()} == {"gswarm.db", "gswarm.db.checked", "other"}


@needs_root
def test_a_disk_without_room_for_a_new_database(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=64k", "tmpfs") as disk:
        (disk / "other").write_bytes(b"x" * 60 * 1024)
        with pytest.raises(StateError, match="its disk is full"):
            Database(disk / "gswarm.db")


def test_a_limit_of_file_size_is_said_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gswarm.db"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Database(path) as database:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
        try:
            added = fill(database)
            with pytest.raises(StateError, match="cannot be written") as caught:
                database.execute(ADD, ("more", BLOCK * 30))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert caught.value.hint
    assert names(path) == added


@needs_root
def test_a_read_only_disk(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=4m", "tmpfs") as disk:
        path = disk / "gswarm.db"
        with Database(path) as database:
            database.execute(ADD, ("a", ""))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(StateError, match="its disk is read-only") as caught:
            Database(path)
        assert caught.value.hint is not None
        assert "--data-dir" in caught.value.hint
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        assert names(path) == {"a"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to what is read-only")
def test_a_read_only_file(tmp_path: Path) -> None:
    path = tmp_path / "gswarm.db"
    Database(path).close()
    path.chmod(0o400)
    with Database(path) as database:
        assert database.query("SELECT * FROM models") == []  # it can be read
        with pytest.raises(StateError, match="you may not write to"):
            database.execute(ADD, ("a", ""))


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_another(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_lock_of_another_process_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "gswarm.db"
    with Database(path) as database:
        database.execute(ADD, ("a", ""))
        with held_by_another(path) as holder:
            who = rf"locked for 0.05 s by process {holder.pid} \(python[\d.]*\)"
            with pytest.raises(StateError, match=who):
                database.execute(ADD, ("b", ""))
            with (
                pytest.raises(StateError, match=who),
                database.transaction(),
            ):
                pytest.fail("two writers at once")
            assert database.query("SELECT name FROM models")  # reading goes on
            assert names(path) == {"a"}  # and opening
        database.execute(ADD, ("b", ""))  # its holder was killed
    assert names(path) == {"a", "b"}


WRITE = """
import sys
from pathlib import Path
from gswarm_tui.state.database import Database
with Database(Path(sys.argv[1])) as database:
    print("ready", flush=True)
    sys.stdin.read(1)
    for number in range(1000):
        with database.transaction():
            rows = database.query("SELECT value FROM switches WHERE name = 'count'")
            count = int(rows[0]["value"]) if rows else 0
            database.execute("INSERT OR REPLACE INTO switches VALUES ('count', ?)", (count + 1,))
"""


def test_two_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    """Each reads, adds one and writes: without one writer at a time, some would be lost."""
    path = tmp_path / "gswarm.db"
    command = [sys.executable, "-c", WRITE, str(path)]
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(command, stdin=pipe, stdout=pipe) as one,
        subprocess.Popen(command, stdin=pipe, stdout=pipe) as two,
    ):
        for process in (one, two):
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.close()
        assert [one.wait(60), two.wait(60)] == [0, 0]
    with Database(path) as database:
        assert database.query("SELECT value FROM switches")[0]["value"] == "2000"


KILLED = """
import os, sys
from pathlib import Path
from gswarm_tui.state.database import Database
database = Database(Path(sys.argv[1]))
database.execute("INSERT INTO switches VALUES ('kept', '1')")
with database.transaction():
    database.execute("INSERT INTO switches VALUES ('not', '1')")
    os.kill(os.getpid(), 9)
"""


def test_a_kill_keeps_what_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "gswarm.db"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == -9
    with Database(path) as database:
        assert [row["name"] for row in database.query("SELECT name FROM switches")] == ["kept"]


MOUNTS = """\
22 1 0:21 / / rw - ext4 /dev/sda1 rw
23 22 0:40 / /home rw,relatime shared:3 master:1 - nfs4 server:/home rw
24 23 0:41 / /home/ana/local rw - xfs /dev/sdb1 rw
25 22 0:42 / /mnt/my\\040share rw - fuse.sshfs ana@host: rw
26 22 0:43 / /mnt/twice rw - nfs server:/x rw
27 22 0:44 / /mnt/twice rw - tmpfs tmpfs rw
28 22 0:45 / /net rw - autofs systemd-1 rw
29 22 0:46 / /mnt/c rw,noatime - 9p drvfs rw
30 22 0:47 / /mnt/host rw - virtiofs share rw
31 22 0:48 / /mnt/vbox rw - vboxsf share rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib/gswarm", None),
        ("/home/ana/.gswarm", "nfs4"),
        ("/home", "nfs4"),
        ("/homes/ana", None),
        ("/home/ana/local/gswarm", None),
        ("/mnt/my share/x", "fuse.sshfs"),
        ("/mnt/twice/x", None),
        ("/net", None),
        ("/mnt/c/Users/ana", "9p"),
        ("/mnt/host", "virtiofs"),
        ("/mnt/vbox", "vboxsf"),
    ],
)
def test_which_folders_are_on_the_network(folder: str, kind: str | None, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert network_filesystem(Path(folder), mounts=mounts) == kind


def test_this_machines_own_mounts_are_read() -> None:
    assert network_filesystem(Path("/proc")) is None
    assert network_filesystem(Path("/"), mounts=Path("/there/is/none")) is None


def test_a_folder_on_the_network_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link leads there as well."""
    share = tmp_path / "share"
    share.mkdir()
    (tmp_path / "link").symlink_to(share)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {share} rw - nfs4 server:/x rw\n")
    monkeypatch.setattr(filesystem, "MOUNTS", mounts)
    with pytest.raises(StateError, match=r"network filesystem \(nfs4\)") as caught:
        Database(tmp_path / "link" / "gswarm.db")
    assert caught.value.hint is not None
    assert "$GSWARM_HOME" in caught.value.hint
    assert list(share.iterdir()) == []
    Database(tmp_path / "gswarm.db").close()


def test_the_file_is_read_through_once_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gswarm.db"
    looked: list[sqlite3.Connection] = []
    quick_check = module.quick_check

    def counted(connection: sqlite3.Connection) -> list[str]:
        looked.append(connection)
        return quick_check(connection)

    monkeypatch.setattr(module, "quick_check", counted)
    monkeypatch.setattr("psutil.boot_time", lambda: time.time() - 1e6)
    marker = tmp_path / "gswarm.db.checked"
    for age, checks in ((None, 1), (0, 1), (23 * 3600, 1), (25 * 3600, 2), (-3600, 3)):
        if age is not None:
            os.utime(marker, (time.time() - age,) * 2)
        Database(path).close()
        assert len(looked) == checks, age
    os.utime(marker, (time.time() - 60,) * 2)
    monkeypatch.setattr("psutil.boot_time", lambda: time.time() - 30)
    Database(path).close()
    assert len(looked) == 4  # the machine was started since: there may have been a power cut


def test_damage_is_said_again_until_it_is_repaired(tmp_path: Path) -> None:
    path = tmp_path / "gswarm.db"
    with Database(path) as database:
        for number in range(100):
            database.execute(ADD, (f"m{number}", BLOCK))
    with path.open("rb+") as file:
        file.seek(40 * 4096)
        file.write(b"\xa5" * 8192 * 8)
    (tmp_path / "gswarm.db.checked").unlink()
    for _ in range(2):
        with pytest.raises(StateError, match="the database is damaged"):
            Database(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] > 0
