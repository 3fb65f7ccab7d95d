"""What every command needs: the options of `gswarm` itself, and the fleet that they describe.

Everything heavy is imported when a session is opened, so that `--help` stays quick.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gswarm_tui.errors import UnreachableError

if TYPE_CHECKING:
    import typer

    from gswarm_tui.fleet import Fleet
    from gswarm_tui.home import Home
    from gswarm_tui.inventory import Inventory
    from gswarm_tui.models import Models
    from gswarm_tui.models.results import ModelView

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that are written before the command."""

    data_dir: Path | None = None
    inventory_path: Path | None = None
    debug: bool = False

    def home(self) -> Home:
        """Where gswarm keeps its state: --data-dir, $GSWARM_HOME, or ~/.gswarm."""
        from gswarm_tui import home

        return home.locate(self.data_dir)

    def inventory(self) -> Inventory:
        """The inventory: -i, or where `gswarm_tui.inventory` finds one.

        Raises:
            InventoryError: it cannot be read, or is wrong.
        """
        from gswarm_tui import inventory

        return inventory.load(self.inventory_path, home=self.home())

    def options(self) -> list[str]:
        """The options of `gswarm` that mean the same fleet and the same jobs."""
        words: list[str] = []
        if self.inventory_path is not None:
            words += ["-i", str(self.inventory_path)]
        if self.data_dir is not None:
            words += ["--data-dir", str(self.data_dir)]
        return words


@dataclass(frozen=True, slots=True)
class Session:
    """An open fleet and its models."""

    home: Home
    inventory: Inventory
    fleet: Fleet
    models: Models

    async def model_on(self, name: str, nodes: Sequence[str]) -> ModelView | None:
        """What these nodes have of a model; None where that is nothing.

        Raises:
            UnreachableError: one of them does not answer.
        """
        survey = await self.models.survey(nodes)
        for node, reason in survey.unreachable.items():
            raise UnreachableError(reason, where=node)
        return next((model for model in survey.models if model.name == name), None)


def settings_of(ctx: typer.Context) -> Settings:
    """The options of `gswarm` itself, from anywhere in a command."""
    found = ctx.find_object(Settings)
    return found if found is not None else Settings()


@asynccontextmanager
async def open_session(
    settings: Settings, *, notice: Callable[[str], None] | None = None
) -> AsyncIterator[Session]:
    """The fleet of the inventory, not connected yet, and its models.

    Args:
        notice: is told what is done once and takes its time; stderr by default.

    Raises:
        InventoryError: the inventory is wrong.
        StateError: the controller's database cannot be used.
    """
    import logging

    from gswarm_tui.fleet import Fleet
    from gswarm_tui.models import Models
    from gswarm_tui.state.database import Database
    from gswarm_tui.state.models import Registry

    # What fails is raised; asyncio and asyncssh would print a part of it to stderr as well.
    logging.getLogger().addHandler(logging.NullHandler())
    home, inventory = settings.home(), settings.inventory()
    with Database(home.database) as database:
        async with Fleet(inventory, home, notice=notice) as fleet:
            yield Session(home, inventory, fleet, Models(fleet, Registry(database)))


def run(ctx: typer.Context, work: Callable[[Session], Awaitable[T]]) -> T:
    """Open a session, do `work` in it, and close it; Ctrl-C cancels the work on the nodes too."""

    import asyncio

    async def inside() -> T:
        async with open_session(settings_of(ctx)) as session:
            return await work(session)

    return asyncio.run(inside())
