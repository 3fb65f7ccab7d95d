from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest
from gswarm_remote import packed

from gswarm_tui.connect import bundle, stage0
from gswarm_tui.connect.bundle import Bundles, Pin

PLATFORMS = [
    "darwin-arm64",
    "darwin-x86_64",
    "linux-aarch64-glibc",
    "linux-aarch64-musl",
    "linux-x86_64-glibc",
    "linux-x86_64-musl",
]
TOY = {"toy/__init__.py": b"x = 1\n", "toy-1.dist-info/LICENSE": b"free"}


def toy_pin(**changes: object) -> Pin:
    fields: dict[str, object] = {
        "name": "toy",
        "version": "1",
        "wheel": "toy-1-py3-none-any.whl",
        "sha256": "0" * 64,
        "files": bundle.files_digest(TOY),
        "take": ("toy/*.py",),
        "license": "toy-1.dist-info/LICENSE",
    }
    return Pin(**{**fields, **changes})  # type: ignore[arg-type]


def test_an_archive_is_the_same_for_the_same_files_in_any_order() -> None:
    files = {"b": b"2", "a/c": b"1", "a/b": b""}
    assert bundle.pack(files) == bundle.pack(dict(sorted(files.items(), reverse=True)))
    assert bundle.pack(files) != bundle.pack({**files, "b": b"3"})


def test_stage_0_unpacks_what_is_packed(tmp_path: Path) -> None:
    files = {"top.py": b"\x00\xff" * 500, "a/b/c d.py": b"", "a/e.py": "é\n".encode()}
    stage0.write_files(zlib.decompress(bundle.pack(files)), str(tmp_path / "new"))
    written = {
        str(path.relative_to(tmp_path / "new")): path.read_bytes()
        for path in (tmp_path / "new").rglob("*")
        if path.is_file()
    }
    assert written.pop(stage0.INDEX).decode().splitlines() == [
        "0 a/b/c d.py",
        "3 a/e.py",
        "1000 top.py",
    ]
    assert written == files


def test_the_hash_changes_with_every_source_and_with_the_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = bundle.bundle_hash.__wrapped__()
    changed = {**bundle.sources(), "gswarm_remote/wire.py": b"pass\n"}
    with monkeypatch.context() as patch:
        patch.setattr(bundle, "sources", lambda: changed)
        assert bundle.bundle_hash.__wrapped__() != before
    monkeypatch.setattr(bundle, "_lock_text", lambda: b"another")
    assert bundle.bundle_hash.__wrapped__() != before


def test_the_sources_are_the_package_and_nothing_else() -> None:
    names = set(bundle.sources())
    assert {bundle.LAUNCHER, "gswarm_remote/__init__.py", "gswarm_remote/helper.py"} <= names
    assert all(name.endswith(".py") and "__pycache__" not in name for name in names)


def test_the_lock_pins_each_package_once_for_every_platform() -> None:
    pins = bundle.read_lock()
    everywhere = [pin.name for pin in pins if pin.platform is None]
    assert sorted(everywhere) == ["h11", "msgpack", "nvidia-ml-py", "nvitop", "urllib3"]
    assert sorted(pin.platform for pin in pins if pin.platform) == PLATFORMS
    for pin in pins:
        assert pin.wheel.startswith(f"{pin.name.replace('-', '_')}-{pin.version}-")
        assert len(pin.sha256) == len(pin.files) == 64
        assert all("/tui/" not in pattern for pattern in pin.take)  # nvitop's GPL part


async def test_an_archive_holds_pins_and_says_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "read_lock", lambda: (toy_pin(), toy_pin(platform="other")))
    monkeypatch.setattr(bundle, "_installed", lambda pin: bundle._checked(pin, dict(TOY)))
    notices: list[str] = []
    archive = await Bundles(tmp_path, notice=notices.append).archive("linux-x86_64-glibc")
    new = tmp_path / "new"
    stage0.write_files(zlib.decompress(archive), str(new))
    about = json.loads((new / "bundle.json").read_text())
    assert about["hash"] == bundle.bundle_hash()
    assert sorted(path.name for path in (new / "parts").iterdir()) == [
        "gswarm_remote.commands",
        "gswarm_remote.engines",
        "gswarm_remote.leases",
        "gswarm_remote.metrics",
        "gswarm_remote.models",
        "gswarm_remote.services",
        "gswarm_remote.tasks",
        "gswarm_remote.transfer",
        "nvitop",
        "toy",
    ]
    packed.unpack(new / "parts" / "toy", new / "vendor")
    assert (new / "vendor" / "toy" / "__init__.py").read_bytes() == b"x = 1\n"
    assert (new / "vendor" / "LICENSES.txt").read_bytes() == b"toy 1\n\nfree"
    assert notices == []


async def test_a_damaged_archive_in_the_cache_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "read_lock", lambda: ())
    first = await Bundles(tmp_path, notice=print).archive("any")
    (cached,) = (tmp_path / "bundles").iterdir()
    cached.write_bytes(cached.read_bytes()[:-1] + b"?")
    assert await Bundles(tmp_path, notice=print).archive("any") == first


def test_files_that_are_not_the_pinned_ones_are_not_taken() -> None:
    assert bundle._checked(toy_pin(), {**TOY, "toy/__init__.py": b"evil\n"}) is None
    assert bundle._checked(toy_pin(), {**TOY, "toy/more.py": b""}) is None
    assert bundle._checked(toy_pin(), dict(TOY)) is not None


def test_an_installed_package_of_another_version_is_not_taken() -> None:
    assert bundle._installed(toy_pin(name="pytest", version="0.0.1")) is None
    assert bundle._installed(toy_pin(name="there-is-no-such-package")) is None


def test_pip_is_asked_for_the_wheels_of_other_machines() -> None:
    pin = next(pin for pin in bundle.read_lock() if pin.platform == "linux-aarch64-musl")
    words = bundle._pip([pin])
    assert words[words.index("--platform") + 1] == "any"
    assert "musllinux_1_2_aarch64" in words
    assert "abi3" in words
    assert "--require-hashes" in words


def test_installed_packages_of_the_right_version_are_the_pinned_files() -> None:
    pins = [pin for pin in bundle.read_lock() if pin.platform is None]
    taken = {pin.name: bundle._installed(pin) for pin in pins}
    assert taken["h11"], "h11 of the lock's version is not what the lock pins"
    assert "pynvml.py" in (taken["nvidia-ml-py"] or {})
