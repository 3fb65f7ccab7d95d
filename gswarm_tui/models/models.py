"""`Models`: every verb on models, as the command line and playbooks call it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

from gswarm_tui.devices import Device
from gswarm_tui.errors import GswarmError
from gswarm_tui.models import (
    downloads,
    hardware,
    health,
    looking,
    moving,
    registration,
    removal,
    serving,
    upkeep,
    verifying,
    views,
)
from gswarm_tui.models.ground import Ground
from gswarm_tui.models.results import (
    CopyResult,
    DeleteResult,
    DownloadResult,
    HealthResult,
    ModelView,
    MoveResult,
    ScanResult,
    ServeResult,
    StopResult,
    Survey,
    UnregisterResult,
    VerifyResult,
)
from gswarm_tui.models.taskwork import TaskWork
from gswarm_tui.progress import ProgressCallback, ignore

if TYPE_CHECKING:
    from gswarm_tui.fleet import Fleet
    from gswarm_tui.state.models import RegisteredModel, Registry


@final
class Models(TaskWork):
    """The models of a fleet.

    Every verb is idempotent: asked twice it does the work once, and says that it was done. Nodes
    work at the same time; `progress` is told of all of them together. All of it raises
    `GswarmError`: a `UsageError` before anything is done, a `NodeError` where a node cannot be
    reached, a `RemoteError` with a helper's own answer.
    """

    def __init__(self, fleet: Fleet, registry: Registry) -> None:
        super().__init__(Ground(fleet, registry))

    # Names

    async def register(
        self,
        name: str,
        *,
        source: str | None,
        type: str | None = None,  # noqa: A002 - the word of the source documents
        description: str | None = None,
        tags: Sequence[str] = (),
        requirements: Mapping[str, Any] | None = None,
    ) -> RegisteredModel:
        """Give a model a name, or change what is given of one that has it; the rest stays.

        Nodes that have copies learn of the change, as far as they answer.

        Args:
            source: a reference that `gswarm_tui.sources` understands.
            requirements: ``min_memory`` and ``min_vram`` in bytes, ``gpu_arch`` a list of names.
        """
        return await registration.register(
            self._ground,
            name,
            source=source,
            model_type=type,
            description=description,
            tags=tags,
            requirements=requirements,
        )

    async def unregister(self, name: str, *, force: bool = False) -> UnregisterResult:
        """Forget a name.

        Args:
            force: stop and delete it first, on every node that answers. Without it a model that is
                somewhere, or may be on a node that does not answer, is refused.
        """
        return await registration.unregister(self._ground, name, force=force)

    # Looking

    async def survey(self, nodes: Iterable[str] | None = None) -> Survey:
        """Every model that the registry or a node knows, and which nodes do not answer.

        Args:
            nodes: names; all of the inventory by default.
        """
        return await views.survey(self._ground, nodes)

    async def overview(self, nodes: Iterable[str] | None = None) -> list[ModelView]:
        """The models of `survey`; each names the nodes that do not answer."""
        return (await self.survey(nodes)).models

    async def view(self, name: str, nodes: Iterable[str] | None = None) -> ModelView:
        """One model, as `overview` has it.

        Raises:
            SourceNameError: neither the registry nor a node that answers knows it.
        """
        return await views.view(self._ground, name, nodes)

    async def missing_gpus(self, devices: Iterable[Device]) -> dict[Device, str]:
        """Those GPUs of `devices` that are not there, each with the reason; raises nothing.

        Only the nodes of GPUs are asked. Nothing is said of one that does not answer.
        """
        return await hardware.missing_gpus(self._ground, devices)

    @property
    def nodes(self) -> Collection[str]:
        """The names of all nodes of the inventory."""
        return self._ground.nodes.keys()

    async def look(
        self, nodes: Iterable[str]
    ) -> tuple[dict[str, looking.NodeLook], dict[str, GswarmError]]:
        """What these nodes have and have room for, and why the others did not say."""
        return await looking.look(self._ground, nodes)

    async def look_at_source(
        self,
        name: str,
        source: str | None,
        *,
        node: str,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        token: str | None = None,
    ) -> looking.SourceLook:
        """What a download would bring, without fetching it.

        Args:
            source: None for the registered one.
            node: where it would go first: a path on the node is looked up there.
            token: for the hub that it comes from, in place of ``$HF_TOKEN``.
        """
        return await looking.look_at_source(
            self._ground,
            name,
            source,
            node=node,
            include=include,
            exclude=exclude,
            token=token,
        )

    # Placing

    async def download(
        self,
        name: str,
        source: str | None,
        devices: Sequence[Device],
        *,
        type: str | None = None,  # noqa: A002
        description: str | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        token: str | None = None,
        progress: ProgressCallback = ignore,
    ) -> DownloadResult:
        """Bring a model from its source to disks or dram; the name is registered with that source.

        The source is asked once; each node fetches for itself. Credentials travel in frames only.

        Args:
            source: None for the registered one.
            include, exclude: patterns of file names, where the source has several.
            token: for the hub that it comes from, in place of ``$HF_TOKEN``.
        """
        return await downloads.download(
            self._ground,
            name,
            source,
            devices,
            model_type=type,
            description=description,
            include=include,
            exclude=exclude,
            token=token,
            progress=progress,
        )

    async def copy(
        self,
        name: str,
        source: Device,
        targets: Sequence[Device],
        *,
        progress: ProgressCallback = ignore,
    ) -> CopyResult:
        """Put the newest copy of a model on `source` on other devices too, verified.

        A GPU among the targets gets an engine with the model; several are one engine.
        """
        return await moving.copy(self._ground, name, source, targets, progress=progress)

    async def move(
        self,
        name: str,
        source: Device,
        targets: Sequence[Device],
        *,
        keep_source: bool | None = None,
        force: bool = False,
        engine: str | None = None,
        config: Mapping[str, Any] | None = None,
        progress: ProgressCallback = ignore,
    ) -> MoveResult:
        """Put a model on other devices, off `source`; `moving` says which moves keep the source.

        A move never loses a model: where no target is a disk, the source is removed only if another
        disk that answers has this revision. A GPU's engine ends once the files are in place.

        Args:
            keep_source: None for the rule, False to remove the source in so many words.
            force: remove a last copy, and end an engine that is being served.
            engine, config: for GPUs; which engine, and its settings.
        """
        return await moving.move(
            self._ground,
            name,
            source,
            targets,
            keep_source=keep_source,
            force=force,
            engine=engine,
            config=config,
            progress=progress,
        )

    async def delete(
        self, name: str, devices: Sequence[Device], *, force: bool = False
    ) -> DeleteResult:
        """Remove a model from devices: files from disk and dram, the engine from a GPU.

        Args:
            force: also where an engine reads the files, or a service uses the engine.
        """
        return await removal.delete(self._ground, name, devices, force=force)

    # Serving

    async def serve(
        self,
        name: str,
        devices: Sequence[Device],
        *,
        engine: str | None = None,
        port: int | None = None,
        address: str = "127.0.0.1",
        api_key_env: str | None = None,
        config: Mapping[str, Any] | None = None,
        timeout_s: float = 600,
        progress: ProgressCallback = ignore,
    ) -> ServeResult:
        """Publish a model at a port, loading it first if need be, until a request is answered.

        Args:
            devices: GPUs of one node (several are one engine), or its dram for the CPU; there a
                model that is on the node's disk only is staged first, and stays staged.
            engine: None for config's ``framework``, else for what the node has.
            port: None for a free one.
            address: of the node; one that others can reach needs a key.
            api_key_env: the environment variable, here on the controller, that holds the key.
        """
        return await serving.serve(
            self._ground,
            name,
            devices,
            engine=engine,
            port=port,
            address=address,
            api_key_env=api_key_env,
            config=config,
            timeout_s=timeout_s,
            progress=progress,
        )

    async def stop_serve(self, name: str, devices: Sequence[Device] | None = None) -> StopResult:
        """Drain and close a model's services; an engine that `move` started stays loaded.

        Args:
            devices: None for everywhere; then a node that does not answer is an error, raised after
                the others were stopped.
        """
        return await serving.stop_serve(self._ground, name, devices)

    async def check_health(
        self,
        url: str,
        *,
        prompt: str | None = None,
        model: str | None = None,
        timeout_s: float = 30,
        api_key_env: str | None = None,
    ) -> HealthResult:
        """GET a URL, and with a prompt ask the server for a completion.

        A URL whose host is a node's name or host is asked from that node, as ``127.0.0.1``.

        Args:
            model: the model that is asked; None for the first that the server offers.

        Raises:
            GswarmError: nothing answered, or not with a 2xx status.
        """
        return await health.check_health(
            self._ground,
            url,
            prompt=prompt,
            model=model,
            timeout_s=timeout_s,
            api_key_env=api_key_env,
        )

    # Upkeep

    async def verify(
        self,
        name: str,
        devices: Sequence[Device] | None = None,
        *,
        progress: ProgressCallback = ignore,
    ) -> VerifyResult:
        """Read copies again, every revision, and compare each file with the manifest.

        Args:
            devices: disks and dram; None for every copy of the fleet.
        """
        return await verifying.verify(self._ground, name, devices, progress=progress)

    async def damage(self, result: VerifyResult) -> GswarmError:
        """An error that says which files are bad, and how the copies are repaired."""
        return await verifying.failure(self._ground, result)

    async def scan(
        self,
        nodes: Sequence[str] | None = None,
        paths: Sequence[str] | None = None,
        *,
        adopt: bool = False,
        how: str = "auto",
        progress: ProgressCallback = ignore,
    ) -> ScanResult:
        """Find models on nodes, and register what manifests there know and the registry does not.

        Args:
            paths: folders on the nodes; None for the places where models usually are, Hugging Face
                caches among them.
            adopt: hash what is found, and keep it as a copy.
            how: ``link`` (hard links), ``in_place`` or ``auto``.
        """
        return await upkeep.scan(
            self._ground, nodes, paths, adopt=adopt, how=how, progress=progress
        )
