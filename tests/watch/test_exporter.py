from __future__ import annotations

import httpx2 as httpx
import pytest

from gswarm_tui.errors import GswarmError, UsageError
from gswarm_tui.watch.exporter import running
from gswarm_tui.watch.rings import History
from gswarm_tui.watch.simulated import SimulatedSource
from gswarm_tui.watch.source import Listener

pytestmark = pytest.mark.usefixtures("servers_end_soon")


def source() -> SimulatedSource:
    return SimulatedSource(2, 2)


async def get(url: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(url, headers=headers)


async def test_the_fleet_is_told() -> None:
    async with running(source()) as url:
        answer = await get(url)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'gswarm_node_up{node="gpu-01"}' in answer.text
        assert (await get(url.removesuffix("/metrics") + "/other")).status_code == 404


async def test_a_token_is_needed_where_one_is_given() -> None:
    async with running(source(), token="secret") as url:
        refused = [
            await get(url),
            await get(url, Authorization="Bearer other"),
            await get(url, Authorization="Basic secret"),
        ]
        assert [(each.status_code, "DCGM" in each.text) for each in refused] == [(401, False)] * 3
        assert (await get(url, Authorization="Bearer secret")).status_code == 200


async def test_others_are_told_only_with_a_token() -> None:
    with pytest.raises(UsageError, match=r"0\.0\.0\.0 can be reached by others"):
        async with running(source(), address="0.0.0.0"):
            pass
    async with running(source(), address="0.0.0.0", token="secret") as url:
        assert (await get(url)).status_code == 401


async def test_a_port_that_is_taken() -> None:
    async with running(source()) as url:
        port = int(url.split(":")[2].partition("/")[0])
        with pytest.raises(GswarmError, match="is taken"):
            async with running(source(), port=port):
                pass


async def test_values_of_a_watcher_that_has_ended_are_not_told() -> None:
    class Ended:
        history = History()

        async def run(self, listener: Listener) -> None:
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        async with running(Ended()) as url:  # type: ignore[arg-type]
            assert (await get(url)).status_code == 503
