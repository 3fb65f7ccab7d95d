from __future__ import annotations

from pathlib import Path

import pytest

from gswarm_tui.connect.remembered import Route, Routes


def test_a_route_is_remembered(tmp_path: Path) -> None:
    routes = Routes(tmp_path / "routes")
    assert routes.get("ssh me@a:22 ~/.gswarm") is None
    routes.put("ssh me@a:22 ~/.gswarm", Route("/run/a.sock"))
    routes.put("ssh me@b:22 ~/.gswarm", Route("/run/b.sock", bridged=True))
    again = Routes(tmp_path / "routes")
    assert again.get("ssh me@a:22 ~/.gswarm") == Route("/run/a.sock")
    assert again.get("ssh me@b:22 ~/.gswarm") == Route("/run/b.sock", bridged=True)
    assert again.get("ssh me@a:22 ~/other") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"socket": 1, "bridged": false}', "null"])
def test_what_cannot_be_read_is_not_known(tmp_path: Path, text: str) -> None:
    routes = Routes(tmp_path)
    routes.put("key", Route("/run/a.sock"))
    (saved,) = tmp_path.iterdir()
    saved.write_text(text)
    assert routes.get("key") is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Routes(tmp_path / "file").put("key", Route("/run/a.sock"))
