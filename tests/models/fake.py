"""A fleet in memory: nodes that answer the helper's methods from dictionaries.

It stands where `gswarm_tui.fleet.Fleet` does for `Models` and the command line. Everything passes
through MessagePack, as on the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import msgpack
from gswarm_remote.models.manifest import FileEntry, Manifest, content_revision

from gswarm_tui.errors import DeviceError, GswarmError, RemoteError, UnreachableError
from gswarm_tui.fleet import in_the_name_of_the_task
from gswarm_tui.inventory import Inventory
from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.standing import Standing

SIZE = 1_000
INFO: dict[str, Any] = {
    "hostname": "box",
    "os": "Debian GNU/Linux 12",
    "arch": "x86_64",
    "python": "3.11.2",
    "helper": {"pid": 7, "hash": "c0de", "rss": 21_000_000, "uptime_s": 3.0, "reasons": []},
    "cpu_count": 2,
    "load1": 0.25,
    "memory_total": 8_000_000_000,
    "memory_available": 6_000_000_000,
    "disk": {
        "path": "/r/models",
        "total": 100_000_000_000,
        "free": 40_000_000_000,
        "used_by_models": 0,
        "quota": None,
    },
    "dram": None,
    "gpus": [],
    "gpus_error": None,
    "linger": None,
}


def manifest(name: str, revision: str | None = None, source: str = "hf://org/tiny") -> Manifest:
    files = (FileEntry("model.safetensors", SIZE, "ab" * 32),)
    return Manifest(
        name, revision or content_revision(files), source, files, "2026-11-21T00:00:00.000Z"
    )


class FakeNode:
    """One node: `copies` by (name, revision, tier), `replicas` and `services` by id.

    Leases: `leases` has what each task wants, by its key; `held` is who else holds what
    (``{"gpu0": "job 3 of eve@desk (serve m)"}``, ``{"m on disk": …}``), for which `lease.take` then
    waits until `release` is called. Tasks: `running` has (task, method) of what is done for them.
    Commands: `commands` says by argv[0] what comes of one, ``{"status": 3, "output": "no\n"}``;
    `paths` is what is there besides, as it is asked for.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.manifests: dict[tuple[str, str, str], Manifest] = {}
        self.partial: list[dict[str, Any]] = []
        self.replicas: dict[str, dict[str, Any]] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.operations: list[dict[str, Any]] = []
        self.found: list[dict[str, Any]] = []
        self.info = dict(INFO)
        self.answers: dict[str, dict[str, Any]] = {}
        self.errors: dict[str, Exception] = {}
        self.unreachable: str | None = None
        self.exited = False
        self.hello: dict[str, Any] | None = {
            "boot_id": "b",
            "hostname": name,
            "root": f"/{name}",
            "capabilities": [
                "command.run",
                "command.look",
                "lease.drop",
                "lease.take",
                "task.cancel",
            ],
        }
        self.leases: dict[str, list[dict[str, Any]]] = {}
        self.standing = Standing()
        self.held: dict[str, str] = {}
        self.running: list[tuple[str, str]] = []
        self.commands: dict[str, dict[str, Any]] = {}
        self.paths: set[str] = set()
        self._freed = asyncio.Event()
        self._ids = itertools.count(1)

    # What `gswarm_tui.fleet.Node` has

    async def call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Any:
        if self.unreachable is not None:
            raise UnreachableError(self.unreachable, where=self.name)
        sent = msgpack.unpackb(msgpack.packb(dict(in_the_name_of_the_task(method, params))))
        self.calls.append((method, sent))
        if method in self.errors:
            raise self.errors[method]
        if method == "lease.take":
            await self._until_free(sent, progress or (lambda report: None))
        if progress is not None and method == "command.run":
            output = self.commands.get(sent["argv"][0], {}).get("output", "")
            progress({"phase": "running", "output": output, "start": 0, "end": len(output)})
        elif progress is not None and method != "lease.take":
            progress({"phase": "work", "done": SIZE, "total": SIZE, "rate": 1.0, "message": None})
        handler = getattr(self, "_" + method.replace(".", "_"))
        return msgpack.unpackb(msgpack.packb(handler(sent)))

    async def connect(self) -> None:
        if self.unreachable is not None:
            raise UnreachableError(self.unreachable, where=self.name)

    @contextlib.asynccontextmanager
    async def expose(self, url: str) -> AsyncIterator[str]:
        self.calls.append(("expose", {"url": url}))
        yield "http://127.0.0.1:9999"

    # For tests

    def has(self, name: str, tier: str = "disk", revision: str | None = None) -> Manifest:
        made = manifest(name, revision)
        self.manifests[name, made.revision, tier] = made
        return made

    def tiers(self, name: str) -> list[str]:
        return [tier for model, _, tier in self.manifests if model == name]

    def asked(self, method: str) -> list[dict[str, Any]]:
        return [params for called, params in self.calls if called == method]

    def refuse(self, method: str, kind: str, message: str = "no") -> None:
        self.errors[method] = RemoteError(message, kind=kind, where=self.name)

    def release(self, what: str) -> None:
        """Somebody else lets go of what `held` says."""
        del self.held[what]
        freed, self._freed = self._freed, asyncio.Event()
        freed.set()

    # The helper's methods

    async def _until_free(
        self, params: dict[str, Any], progress: Callable[[dict[str, Any]], None]
    ) -> None:
        while taken := [want for want in params["wants"] if _lease_words(want) in self.held]:
            words, want = _lease_words(taken[0]), taken[0]
            progress(
                {
                    "phase": "waiting",
                    "message": f"{words} is held by {self.held[words]}",
                    "device": want.get("device") or want["tier"],
                    "model": want.get("model"),
                    "holder": self.held[words],
                }
            )
            await self._freed.wait()

    def _lease_take(self, params: dict[str, Any]) -> Any:
        self.leases[params["task"]] = params["wants"]
        return {"lease": params["task"]}

    def _lease_drop(self, params: dict[str, Any]) -> Any:
        return {"dropped": self.leases.pop(params["task"], None) is not None}

    def _task_cancel(self, params: dict[str, Any]) -> Any:
        prefix = params["prefix"]
        cancelled = [pair for pair in self.running if pair[0].startswith(prefix)]
        self.running = [pair for pair in self.running if pair not in cancelled]
        self.leases = {t: w for t, w in self.leases.items() if not t.startswith(prefix)}
        return {"cancelled": len(cancelled)}

    def _command_run(self, params: dict[str, Any]) -> Any:
        said = {"status": 0, "output": "", **self.commands.get(params["argv"][0], {})}
        if said["status"]:
            raise RemoteError(
                f"{params['argv'][0]} ended with status {said['status']}: {said['output']}",
                kind="failed",
                where=self.name,
            )
        return {"truncated": False, "skipped": False, "seconds": 0.5, **said}

    def _command_look(self, params: dict[str, Any]) -> Any:
        return {"there": params["creates"] in self.paths}

    def _node_info(self, params: dict[str, Any]) -> Any:
        return self.info

    def _node_status(self, params: dict[str, Any]) -> Any:
        ready = [self._copy(tier, made) for (_, _, tier), made in self.manifests.items()]
        return {
            "copies": ready + self.partial,
            "replicas": list(self.replicas.values()),
            "services": list(self.services.values()),
            "operations": self.operations,
            "leases": [
                {"task": task, "what": _lease_words(want), "shared": want["shared"]}
                for task, wants in self.leases.items()
                for want in wants
            ],
        }

    def _model_fetch(self, params: dict[str, Any]) -> Any:
        plan = params["plan"]
        return self._publish(plan["name"], plan["revision"], params["tier"], plan)

    def _model_import(self, params: dict[str, Any]) -> Any:
        return self._publish(params["name"], None, params["tier"], params)

    def _model_stage(self, params: dict[str, Any]) -> Any:
        source = self.manifests[params["name"], params["revision"], params["from"]]
        self.manifests[params["name"], params["revision"], params["to"]] = source
        return self._copy(params["to"], source)

    def _model_manifest(self, params: dict[str, Any]) -> Any:
        return self.manifests[params["name"], params["revision"], params["tier"]].to_dict()

    def _model_receive_begin(self, params: dict[str, Any]) -> Any:
        return {"token": "t", "missing": [], "total": SIZE, "done": SIZE}

    def _model_receive_finish(self, params: dict[str, Any]) -> Any:
        made = Manifest.from_dict(params["manifest"])
        self.manifests[made.name, made.revision, params["tier"]] = made
        return self._copy(params["tier"], made)

    def _model_delete(self, params: dict[str, Any]) -> Any:
        if "model.delete" in self.answers:
            return self.answers["model.delete"]
        gone = [
            key
            for key in self.manifests
            if key[0] == params["name"]
            and key[2] == params["tier"]
            and params["revision"] in (None, key[1])
        ]
        if not gone:
            raise RemoteError("it is not here", kind="not_found", where=self.name)
        for key in gone:
            del self.manifests[key]
        return {"removed": [key[0] for key in gone], "freed": SIZE * len(gone)}

    def _model_verify(self, params: dict[str, Any]) -> Any:
        default = {"ok": True, "revision": "r1", "bad": [], "shared_with": []}
        return self.answers.get("model.verify", default)

    def _model_scan(self, params: dict[str, Any]) -> Any:
        return {"found": self.found}

    def _model_adopt(self, params: dict[str, Any]) -> Any:
        return self._publish(params["name"], params["revision"], "disk", params)

    def _model_describe(self, params: dict[str, Any]) -> Any:
        return {"described": ["disk"]}

    def _engine_start(self, params: dict[str, Any]) -> Any:
        for replica in self.replicas.values():
            if (replica["model"], replica["devices"]) == (params["model"], params["devices"]):
                return {**replica, "already": True}
        made = {
            "id": f"e{next(self._ids)}",
            "model": params["model"],
            "revision": params["revision"] or next(rev for name, rev, _ in self.manifests),
            "tier": "dram" if "dram" in self.tiers(params["model"]) else "disk",
            "devices": params["devices"],
            "engine": params["engine"] or "vllm",
            "state": "ready",
            "pid": 42,
            "started_at": 1_795_000_000.0,
            "started_by": params["started_by"],
            "log": "/r/logs/e.log",
        }
        self.replicas[made["id"]] = made
        return {**made, "already": False}

    def _engine_stop(self, params: dict[str, Any]) -> Any:
        return {"stopped": self.replicas.pop(params["id"], None) is not None}

    def _service_start(self, params: dict[str, Any]) -> Any:
        for service in self.services.values():
            if (service["model"], service["devices"]) == (params["model"], params["devices"]):
                return {**service, "already": True}
        replica = self._engine_start({**params, "revision": None})
        made = {
            "id": f"s{next(self._ids)}",
            "model": params["model"],
            "replica": replica["id"],
            "devices": params["devices"],
            "address": params["address"],
            "port": params["port"] or 40_000,
            "engine": replica["engine"],
            "state": "ready",
            "pid": 43,
            "guarded": params["api_key"] is not None,
            "requests": 0,
            "started_at": 1_795_000_000.0,
            "log": "/r/logs/s.log",
        }
        self.services[made["id"]] = made
        return {**made, "already": False}

    def _service_stop(self, params: dict[str, Any]) -> Any:
        devices = params["devices"]
        gone = [
            service
            for service in self.services.values()
            if service["model"] == params["model"]
            and (devices is None or set(devices) & set(service["devices"]))
        ]
        for service in gone:
            del self.services[service["id"]]
            replica = self.replicas[service["replica"]]
            if replica["started_by"] == "serve":
                del self.replicas[replica["id"]]
        return {"stopped": gone}

    def _http_check(self, params: dict[str, Any]) -> Any:
        path = "/" + params["url"].split("/", 3)[3]
        default = {"status": 200, "latency_s": 0.01, "body": "{}"}
        return {**default, **self.answers.get(f"http {path}", {})}

    def _helper_exit(self, params: dict[str, Any]) -> Any:
        dropped = [name for name, _, tier in self.manifests if tier == "dram"]
        self.manifests = {key: made for key, made in self.manifests.items() if key[2] != "dram"}
        self.exited = True
        return {"exiting": True, "reasons": [], "dropped": dropped}

    def _publish(self, name: str, revision: str | None, tier: str, said: dict[str, Any]) -> Any:
        made = manifest(name, revision, said.get("source") or "")
        self.manifests[name, made.revision, tier] = made
        return self._copy(tier, made)

    def _copy(self, tier: str, made: Manifest) -> dict[str, Any]:
        return {
            "name": made.name,
            "revision": made.revision,
            "tier": tier,
            "state": "ready",
            "size": made.size,
            "hash": made.hash,
            "path": f"/{self.name}/{tier}/{made.name}/{made.revision}",
            "files": len(made.files),
            "done": None,
            "source": made.source,
            "published_at": made.published_at,
            "last_accessed": None,
            "metadata": dict(made.metadata),
            "external": False,
        }


def _lease_words(want: Mapping[str, Any]) -> str:
    return str(want["device"]) if "device" in want else f"{want['model']} on {want['tier']}"


class FakeFleet:
    """As many nodes as specs; `node1`, `node2` and `node3` by default, reached over ssh."""

    def __init__(self, *specs: NodeSpec) -> None:
        given = specs or tuple(NodeSpec(f"node{i}", f"10.0.0.{i}", user="ada") for i in (1, 2, 3))
        self.inventory = Inventory({spec.name: spec for spec in given})
        self.nodes = {spec.name: FakeNode(spec.name) for spec in given}

    def __getitem__(self, name: str) -> FakeNode:
        return self.nodes[name]

    def node(self, name: str) -> FakeNode:
        if name not in self.nodes:
            raise DeviceError(f"no node `{name}`")
        return self.nodes[name]

    async def gather(self, nodes: Iterable[str], method: str) -> dict[str, Any]:
        async def ask(name: str) -> Any:
            try:
                return await self.node(name).call(method, {})
            except GswarmError as error:
                return error

        return {name: await ask(name) for name in nodes}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass
