"""The state of a node in its helper: paths, settings, what is there and what runs."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import platform
import shutil
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from . import machine, records
from .devices import DISK, DRAM
from .errors import HelperError, Kind
from .methods import KEPT, METHODS
from .operations import OperationTable, in_thread
from .paths import Paths, lingers, private_folder
from .rpc import Call, Handler
from .tasks.entry import Entry, check_task
from .tasks.ledger import Ledger

if TYPE_CHECKING:
    from .commands.commands import Commands
    from .engines.replicas import Replicas
    from .leases.leases import Leases
    from .metrics.feed import Feed
    from .metrics.gpus import Reader
    from .models.store import Store
    from .services.services import Services
    from .transfer.bulk import BulkTable


class Node:
    """The owner of what a helper holds: settings, operations, stores, engines, services.

    Attributes:
        leaving: the helper goes: what is cancelled now is left for the next one.
    """

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.settings: Dict[str, Any] = _read_settings(paths.settings)
        self.ledger = Ledger(paths.tasks)
        self.operations = OperationTable(self.ledger.keep)
        self.boot_id = machine.boot_id()
        self.leaving = False
        self._stores: Dict[Path, Store] = {}
        self._replicas: Optional[Replicas] = None
        self._services: Optional[Services] = None
        self._bulk: Optional[BulkTable] = None
        self._leases: Optional[Leases] = None
        self._commands: Optional[Commands] = None
        self._gpus: Optional[Reader] = None
        self._metrics: Optional[Feed] = None
        self._began = time.time()
        self._loaded: Dict[str, Dict[str, Handler]] = {}
        self._helper_facts: Callable[[], Dict[str, Any]] = dict
        self._apply_settings()

    def start(self, *, helper_facts: Callable[[], Dict[str, Any]]) -> None:
        """Adopt what an earlier helper left running."""
        self._helper_facts = helper_facts
        if any(self.paths.engines.glob("*.json")):
            self.replicas.adopt()
        if any(self.paths.services.glob("*.json")):
            self.services.adopt()
        if any(self.paths.tasks.glob("*/record.json")):
            self.commands.adopt()

    async def stop(self) -> None:
        """End the work under way and let go of the rest: engines and forwarders go on."""
        self.leaving = True
        await self.operations.cancel_all()
        if self._leases is not None:
            await self._leases.close()
        if self._gpus is not None:
            await self._gpus.close()
        if self._metrics is not None:
            await self._metrics.close()
        self._leave_dram_if_empty()

    def reasons(self) -> List[str]:
        """Why the helper should stay, connections apart."""
        found = []
        if len(self.operations):
            found.append(number_of(len(self.operations), "operation"))
        if self._replicas is not None and self._replicas.running():
            found.append(number_of(self._replicas.running(), "engine"))
        if self._services is not None and self._services.running():
            found.append(number_of(self._services.running(), "service"))
        if self._leases is not None and len(self._leases):
            found.append(number_of(len(self._leases), "lease"))
        if self._staged_need_us():
            found.append("staged copies in dram, which the system removes after the last session")
        return found

    # What there is one of

    def store(self, tier: str) -> Store:
        """The folder of models behind `tier`.

        Raises:
            HelperError: this machine has no tmpfs, or the tier holds no files.
        """
        from .models.store import Store

        if tier == DISK:
            root, quota = self.paths.models, self.settings.get("disk_quota")
        elif tier == DRAM and self.paths.dram is not None:
            root, quota = self.paths.dram, self.settings.get("dram_quota")
            for folder in (root.parent, root):  # in /dev/shm anybody may make anything
                private_folder(folder)
        elif tier == DRAM:
            raise HelperError(
                Kind.UNSUPPORTED,
                "there is no folder in /dev/shm that is this user's to stage models in",
                where=DRAM,
                hint="look at ls -ld /dev/shm/gswarm-*; gpu devices load from disk as well",
            )
        else:
            raise HelperError(
                Kind.INVALID, f"{tier!r:.40} is not a place for files", hint="use disk or dram"
            )
        store = self._stores.get(root)
        if store is None:
            store = self._stores[root] = Store(root, quota=quota)
        store.quota = quota
        return store

    @property
    def replicas(self) -> Replicas:
        from .engines.replicas import Replicas

        if self._replicas is None:
            self._replicas = Replicas(self)
        return self._replicas

    @property
    def services(self) -> Services:
        from .services.services import Services

        if self._services is None:
            self._services = Services(self)
        return self._services

    @property
    def leases(self) -> Leases:
        from .leases.leases import Leases

        if self._leases is None:
            self._leases = Leases(self.operations)
        return self._leases

    @property
    def commands(self) -> Commands:
        from .commands.commands import Commands

        if self._commands is None:
            self._commands = Commands(self)
        return self._commands

    @property
    def gpus(self) -> Reader:
        from .metrics.gpus import Reader

        if self._gpus is None:
            self._gpus = Reader(self._sampling)
        return self._gpus

    @property
    def metrics(self) -> Feed:
        from .metrics.feed import Feed
        from .metrics.serving import Serving

        if self._metrics is None:
            self._metrics = Feed(
                self._sampling, Serving(self).rows, idle=self.paths.host / "idle.json"
            )
        return self._metrics

    def _sampling(self) -> Dict[str, Any]:
        """What those who read the GPUs have to know."""
        return {
            "models": str(self.paths.models),
            "simulate": self.settings.get("simulate") or None,
            "began": self._began,
        }

    @property
    def bulk(self) -> BulkTable:
        from .transfer.bulk import BulkTable

        if self._bulk is None:
            self._bulk = BulkTable()
        return self._bulk

    def bulk_session(self, token: Any) -> Callable[..., Any]:
        """What a bulk connection with this one-use token is for.

        Raises:
            HelperError: nobody offered it, or it was used or has expired.
        """
        session: Callable[..., Any] = self.bulk.claim(token)
        return session

    # What a controller asks

    def handlers(self) -> Dict[str, Handler]:
        """Every method of the node, each imported when first called."""
        late = {
            method: self._kept(method, self._late(module, method))
            for module, methods in METHODS.items()
            for method in methods
        }
        return {
            **late,
            "node.info": self._info,
            "node.status": self._status,
            "node.configure": self._configure,
        }

    def _late(self, module: str, method: str) -> Handler:
        async def handler(call: Call, params: Dict[str, Any]) -> Any:
            if module not in self._loaded:
                loaded = importlib.import_module(f".{module}", __package__)
                self._loaded[module] = loaded.handlers(self)
            return await self._loaded[module][method](call, params)

        return handler

    def _kept(self, method: str, handler: Handler) -> Handler:
        """The handler of a method, whose result is kept for the task that asks for it."""
        if method not in KEPT:
            return handler

        async def once(call: Call, params: Dict[str, Any]) -> Any:
            asked = {key: value for key, value in params.items() if key != "task"}
            if params.get("task") is not None:
                entry = Entry.of(check_task(params["task"]), method, asked)
                found = await self.ledger.find(entry)
                if found is not None:
                    return found["result"]
                call.entry = entry
            return await handler(call, asked)

        return once

    async def _info(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        snapshot, disk, dram = await asyncio.gather(
            self.gpus.snapshot(), in_thread(self._space, DISK), in_thread(self._space, DRAM)
        )
        memory = machine.memory()
        return {
            "hostname": socket.gethostname(),
            "os": machine.os_name(),
            "arch": platform.machine(),
            "python": platform.python_version(),
            "helper": self._helper_facts(),
            "cpu_count": os.cpu_count(),
            "load1": os.getloadavg()[0],
            "memory_total": memory.get("MemTotal"),
            "memory_available": memory.get("MemAvailable"),
            "disk": disk,
            "dram": dram,
            "gpus": snapshot.gpus,
            "gpus_error": snapshot.error,
            "linger": lingers(),
        }

    async def _status(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        return {
            "copies": self._without_those_under_way(await in_thread(self._copies)),
            "replicas": self.replicas.list() if self._has_records(self.paths.engines) else [],
            "services": self.services.list() if self._has_records(self.paths.services) else [],
            "operations": self.operations.list(),
            "leases": self._leases.list() if self._leases is not None else [],
        }

    async def _configure(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        """Take the inventory's settings; None leaves what is in force."""
        known = ("models", "disk_quota", "dram_quota", "engines", "simulate")
        settings = dict(self.settings)
        settings.update({key: params[key] for key in known if params.get(key) is not None})
        if settings == self.settings:
            return settings
        if settings.get("models") != self.settings.get("models") and self.reasons():
            raise HelperError(
                Kind.IN_USE,
                f"the models folder cannot change to {settings['models']} while there is work here"
                f" ({', '.join(self.reasons())})",
                where=str(self.paths.models),
                hint="give both inventories the same 'models:', or stop what runs first",
            )
        self.settings = settings
        self._apply_settings()
        await in_thread(records.write, self.paths.settings, settings)
        return settings

    async def drop_staged(self) -> List[str]:
        """Remove every staged copy from dram that no engine uses; returns the models' names."""
        if self.paths.dram is None or not self.paths.dram.is_dir():
            return []
        used = {
            (replica["model"], replica["revision"])
            for replica in (self.replicas.list() if self._has_records(self.paths.engines) else [])
        }
        store = self.store(DRAM)
        dropped = []
        for copy in await in_thread(store.copies, DRAM):
            if (copy["name"], copy["revision"]) in used:
                continue
            try:
                await in_thread(store.delete, copy["name"], copy["revision"])
                dropped.append(copy["name"])
            except HelperError as error:
                if error.kind not in (Kind.IN_USE, Kind.NOT_FOUND):  # on its way here, or gone
                    raise
        self._leave_dram_if_empty()
        return dropped

    def _leave_dram_if_empty(self) -> None:
        dram = self.paths.dram
        if dram is not None and dram.is_dir() and not self.store(DRAM).copies(DRAM):
            shutil.rmtree(dram, ignore_errors=True)
            with contextlib.suppress(OSError):
                dram.parent.rmdir()

    def _apply_settings(self) -> None:
        models = self.settings.get("models")
        if models:
            self.paths = replace(self.paths, models=Path(str(models)).expanduser())

    def _has_records(self, folder: Path) -> bool:
        return any(folder.glob("*.json"))

    def _copies(self) -> List[Dict[str, Any]]:
        found = list(self.store(DISK).copies(DISK)) if self.paths.models.is_dir() else []
        if self.paths.dram is not None and self.paths.dram.is_dir():
            found += self.store(DRAM).copies(DRAM)
        return found

    def _without_those_under_way(self, copies: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
        """The copies; those that are fetched at this moment have the credentials they need."""
        fetched = {(op["model"], op["tier"]) for op in self.operations.list()}
        return [
            {**copy, "waiting": None} if (copy["name"], copy["tier"]) in fetched else copy
            for copy in copies
        ]

    def _space(self, tier: str) -> Optional[Dict[str, Any]]:
        root = self.paths.models if tier == DISK else self.paths.dram
        if root is None:
            return None
        usage = shutil.disk_usage(machine.existing(root))
        used = self.store(tier).used() if root.is_dir() else 0
        return {
            "path": str(root),
            "total": usage.total,
            "free": usage.free,
            "used_by_models": used,
            "quota": self.settings.get(f"{tier}_quota"),
        }

    def _staged_need_us(self) -> bool:
        """logind deletes a user's /dev/shm files with the last session, but not a system user's."""
        dram = self.paths.dram
        if dram is None or os.getuid() < 1000 or lingers() is not False:
            return False
        return dram.is_dir() and any(self.store(DRAM).copies(DRAM))


def _read_settings(path: Path) -> Dict[str, Any]:
    try:
        settings = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


def number_of(count: int, noun: str) -> str:
    """``1 operation``, ``2 operations``."""
    return f"{count} {noun}{'s' * (count != 1)}"
