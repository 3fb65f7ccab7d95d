"""`gswarm top`: what every GPU does."""

from __future__ import annotations

import asyncio
import contextlib
import json as json_text
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gswarm_tui.cli import context, options, output
from gswarm_tui.cli.context import Session
from gswarm_tui.errors import EXIT_UNREACHABLE, UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from gswarm_tui.watch.fields import Row
    from gswarm_tui.watch.filters import Filter
    from gswarm_tui.watch.snapshot import Attention, FleetSnapshot, Node
    from gswarm_tui.watch.watcher import FleetWatcher


@dataclass(frozen=True, slots=True)
class _How:
    """What was asked for."""

    filter: Filter
    sort: str
    json: bool
    plain: bool
    wait_s: float
    bandwidth: bool = False
    nvlink: bool = False

    def told(self, picture: FleetSnapshot) -> bool:
        """Whether the rates that are wanted are there: they are of the time between two frames."""
        gpus = [gpu for node in picture.nodes for gpu in node.gpus if gpu.name is not None]
        return not gpus or any(
            (not self.bandwidth or gpu.pcie_rx_bytes_per_s is not None)
            and (not self.nvlink or gpu.nvlink_rx_bytes_per_s is not None)
            for gpu in gpus
        )

    def rows(self, picture: FleetSnapshot) -> list[Row]:
        from gswarm_tui.watch import fields

        descending = self.sort in fields.NUMBERS
        return fields.sort(self.filter.rows(picture.nodes), self.sort, descending=descending)

    def attention(self, picture: FleetSnapshot) -> list[Attention]:
        """What needs a look on what is shown."""
        shown = {(node.name, gpu and gpu.index) for node, gpu in self.rows(picture)}
        nodes = {name for name, _ in shown}
        return [
            each
            for each in picture.attention
            if (each.node, each.gpu) in shown or (each.gpu is None and each.node in nodes)
        ]


def top(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILTER",
            help="What to show: 'util<5' 'mem>50%' user=ana card=h100 '!state=idle' node1.",
        ),
    ] = None,
    node: options.Node = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Repeat until Ctrl-C.")] = False,
    interval: Annotated[
        float,
        typer.Option(min=0.1, max=10.0, metavar="SECONDS", help="The time between two updates."),
    ] = 1.0,
    sort: Annotated[
        str, typer.Option(metavar="FIELD", help="node, util, mem, temp, power, user, card…")
    ] = "node",
    wait: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How long to wait for nodes.")
    ] = 2.0,
    bandwidth: options.Bandwidth = False,
    nvlink: options.Nvlink = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Print a sentence for each GPU, for screen readers.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Show what every GPU does, for whom, and what needs a look."""
    from gswarm_tui.watch import fields, filters

    if sort not in fields.SORTS:
        raise UsageError(
            f"nothing can be sorted by `{sort}`", hint=f"there are {', '.join(fields.SORTS)}"
        )
    chosen = filters.parse(" ".join(words or ()))
    how = _How(chosen, sort, json, plain, wait, bandwidth, nvlink)

    async def work(session: Session) -> FleetSnapshot:
        from gswarm_tui.cli.topnodes import concerned
        from gswarm_tui.watch.nodewatch import Wishes
        from gswarm_tui.watch.watcher import FleetWatcher

        specs = concerned(chosen, session.inventory.select(node))
        if not specs:
            raise UsageError(
                f"no node of the inventory fits `{chosen.text}`", hint="gswarm nodes lists them"
            )
        nodes = [session.fleet.node(spec.name) for spec in specs]
        wishes = Wishes(interval_s=interval, bandwidth=bandwidth, nvlink=nvlink)
        watcher = FleetWatcher(nodes, session.home.database, wishes=wishes)
        return await (_go_on(watcher, how) if watch else _once(watcher, how))

    picture = context.run(ctx, work)
    if _missing(picture, wait):
        raise typer.Exit(EXIT_UNREACHABLE)


def _missing(picture: FleetSnapshot, waited_s: float) -> list[str]:
    from gswarm_tui.cli.topview import who_did_not

    return who_did_not(picture.nodes, waited_s)


async def _once(watcher: FleetWatcher, how: _How) -> FleetSnapshot:
    """Print the first picture in which every node is that answers in time."""
    from gswarm_tui.cli import topview

    pictures = _Pictures(watcher)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(how.wait_s):
            async for picture in pictures:
                if watcher.settled and how.told(picture):
                    break
    await pictures.close()
    picture = pictures.newest
    rows = how.rows(picture)
    if how.json:
        output.emit(topview.document(picture, rows, how.attention(picture)))
    else:
        _block(rows, picture, how)
    said = {node.name for node, gpu in rows if gpu is None} if sys.stdout.isatty() else ()
    _say_who_did_not([node for node in picture.nodes if node.name not in said], how)
    if not watcher.settled:
        output.say("  hint: a node that is new takes longer: --wait SECONDS")
    return picture


def _say_who_did_not(nodes: Sequence[Node], how: _How) -> None:
    from gswarm_tui.cli import topview

    for said in topview.who_did_not(nodes, how.wait_s):
        output.say(output.clean(said), prose=True)


def _block(rows: Sequence[Row], picture: FleetSnapshot, how: _How) -> None:
    from gswarm_tui.cli import topview

    if how.plain:
        for row in rows:
            said = topview.sentence(row, pcie=how.bandwidth, nvlink=how.nvlink)
            output.show(said, prose=True)
    else:
        _table(rows, how)
    output.show(topview.totals(rows) + ("." if how.plain else ""), prose=True)
    for each in how.attention(picture):
        output.show(f"needs a look: {topview.concern(each)}", prose=True)


def _table(rows: Sequence[Row], how: _How) -> None:
    """Print the table: in full where it is piped, a line a row on a terminal."""
    from gswarm_tui.cli.toptable import laid_out

    if not sys.stdout.isatty():
        table = laid_out(rows, pcie=how.bandwidth, nvlink=how.nvlink)
        for line in (table.head, *table.lines):
            output.show(line)
        return
    from rich.console import Console

    console = Console(highlight=False)
    with output.writing():
        for text in _drawn(rows, console.width, how):
            console.print(text)


def _drawn(rows: Sequence[Row], width: int, how: _How) -> list[Text]:
    """The lines of the table for a terminal."""
    from rich.text import Text

    from gswarm_tui.cli.toptable import laid_out

    table = laid_out(rows, pcie=how.bandwidth, nvlink=how.nvlink, width=width)
    lines = [Text(line, no_wrap=True) for line in (table.rule, *table.lines)]
    return [Text(table.head, style="bold", no_wrap=True), *lines]


async def _go_on(watcher: FleetWatcher, how: _How) -> FleetSnapshot:
    """Print pictures until Ctrl-C: in place on a terminal, else one after the other."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    pictures = _Pictures(watcher)
    drawn = _redrawn if sys.stdout.isatty() and not (how.json or how.plain) else _printed
    drawing = asyncio.create_task(drawn(watcher, pictures, how))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([drawing, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    drawing.cancel()
    await asyncio.wait([drawing, stopping])
    await pictures.close()
    if not drawing.cancelled() and (error := drawing.exception()) is not None:
        raise error
    _say_who_did_not(pictures.newest.nodes, how)
    return pictures.newest


async def _printed(watcher: FleetWatcher, pictures: _Pictures, how: _How) -> None:
    from gswarm_tui.cli import topview

    began = pictures.newest.time
    async for picture in pictures:
        # While nodes are connected to there are several pictures a tick.
        if not watcher.settled and picture.time - began < how.wait_s:
            continue
        rows = how.rows(picture)
        if how.json:
            line = topview.document(picture, rows, how.attention(picture))
            output.show(json_text.dumps(line, ensure_ascii=True, default=str))
        else:
            _block(rows, picture, how)
            output.show()
        output.flush()


async def _redrawn(watcher: FleetWatcher, pictures: _Pictures, how: _How) -> None:
    from rich.console import Console, Group
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, screen=True) as live:
        async for picture in pictures:
            lines = _screenful(how.rows(picture), how.attention(picture), *console.size, how)
            live.update(Group(*lines), refresh=True)


def _screenful(
    rows: Sequence[Row], attention: Sequence[Attention], width: int, height: int, how: _How
) -> list[Text]:
    """As much of a picture as a screen holds: what needs a look has up to a third of it."""
    from rich.text import Text

    from gswarm_tui.cli import topview
    from gswarm_tui.cli.toptable import shortened

    looks = _first([topview.concern(each) for each in attention], height // 3, "need a look")
    room = max(1, height - len(looks) - 3)
    shown = rows if len(rows) <= room else rows[: room - 1]
    more = [f"{len(rows) - len(shown)} more: a filter, or gswarm-tui"] * (shown is not rows)
    said = [Text(shortened(text, width), no_wrap=True) for text in (*more, *looks)]
    totals = Text(shortened(topview.totals(rows), width), style="bold", no_wrap=True)
    return [totals, *_drawn(shown, width, how), *said]


def _first(texts: Sequence[str], most: int, do_what: str) -> list[str]:
    """The texts, or the first of them and how many more there are."""
    if len(texts) <= most:
        return list(texts)
    return [*texts[: most - 1], f"{len(texts) - most + 1} more {do_what}"]


class _Pictures:
    """The pictures of a watcher, the newest where the reader is slow. Close it."""

    def __init__(self, watcher: FleetWatcher) -> None:
        self.newest = watcher.picture()
        self._news = asyncio.Event()
        self._running = asyncio.create_task(watcher.run(self._take))
        self._running.add_done_callback(lambda _: self._news.set())

    def _take(self, picture: FleetSnapshot) -> None:
        self.newest = picture
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[FleetSnapshot]:
        while True:
            await self._news.wait()
            self._news.clear()
            if self._running.done():
                self._running.result()
            yield self.newest

    async def close(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])
