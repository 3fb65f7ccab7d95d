"""``serve``: publish a model at a port, loading it first where it is not loaded yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from gswarm_tui.devices import DISK, DRAM, GPU, Device
from gswarm_tui.errors import DeviceError
from gswarm_tui.loopback import is_loopback
from gswarm_tui.models.addresses import node_url
from gswarm_tui.models.engines import one_engine
from gswarm_tui.models.results import ServeResult
from gswarm_tui.models.serving import api_key
from gswarm_tui.playbook.actions.base import (
    Action,
    ParseDevice,
    SpellingError,
    Use,
    WrittenForModel,
    all_services_of,
    copy_of,
    described,
    gpu_of,
    listed,
    service_of,
)
from gswarm_tui.playbook.actions.carrying import not_there
from gswarm_tui.playbook.actions.engine import engine_and_config
from gswarm_tui.playbook.actions.places import Place, read_places, require_tiers
from gswarm_tui.playbook.check.expected_node import Service
from gswarm_tui.playbook.check.finding import Draft, Finding
from gswarm_tui.playbook.language.options import Limit
from gswarm_tui.progress import ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.check.expected import Expected
    from gswarm_tui.playbook.outcome import Outcome

LOOPBACK = "127.0.0.1"
TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve(Action):
    """``devices`` are all on one node; ``port`` None is one that is free then."""

    result: ClassVar = ServeResult

    model: str
    devices: tuple[Device, ...]
    engine: str | None
    port: int | None
    address: str
    api_key_env: str | None
    config: Mapping[str, Any]
    timeout_s: float

    @property
    def node(self) -> str:
        return str(self.devices[0].node)

    def summary(self) -> str:
        port = "a free port" if self.port is None else f"port {self.shown('port', self.port)}"
        engine = "" if self.engine is None else f" with {self.engine}"
        return f"{self.model} on {listed(self.devices)}{engine}, {port}"

    def sentence(self) -> str:
        engine = "" if self.engine is None else f" with {self.shown('engine', self.engine)}"
        port = "a free port" if self.port is None else f"port {self.shown('port', self.port)}"
        address = self.shown("address", self.address)
        reach = "reached from that node only"
        if "address" in self.late or not is_loopback(self.address):
            reach = f"open to other machines at {address}, with the key in ${self.api_key_env}"
        return (
            f"serves {self.model} from {described(self.devices)}{engine} at {port} of {self.node},"
            f" {reach}, and waits until a request is answered"
        )

    def uses(self) -> Iterable[Use]:
        yield all_services_of(self.model, "starts a service", exclusive=False)
        for device in self.devices:
            yield service_of(self.model, device, "starts")
            # On a GPU the engine is the copy; in memory the engine reads the files.
            verb, exclusive = ("writes", True) if device.is_gpu else ("reads", False)
            yield copy_of(self.model, device, verb, exclusive=exclusive)
            yield from gpu_of(device, "loads on")
        if self.port is not None and "port" not in self.late:
            does = f"takes port {self.port} of {self.node}"
            yield Use(("port", self.node, str(self.port)), does, exclusive=True)

    def loads_on(self) -> Iterable[Device]:
        return self.devices

    def known(self) -> Mapping[str, Any]:
        known: dict[str, Any] = {
            "model": self.model,
            "device": str(self.devices[0]),
            "devices": [str(device) for device in self.devices],
            "node": self.node,
        }
        if self.engine is not None and not {"engine", "config"} & self.late.keys():
            known["engine"] = self.engine
        if self.port is not None and "port" not in self.late:
            known["port"] = self.port
            known["url"] = node_url(self.node, self.port)
        return known

    async def compare(self, expected: Expected) -> Finding:
        found, node = Draft(), expected.node(self.node)
        key = api_key(self.api_key_env)
        for tier in (DISK, DRAM):
            expected.refuse_doubt("copy", self.model, f"{self.node}:{tier}")
        files = node.files(self.model)
        if files is None and not any(engine.model == self.model for engine in node.engines):
            found.fails(await not_there(expected, self.model, self.node))
            return found.finding()
        if files is not None and self.devices[0].tier == DRAM:
            tier, copy = files
            if tier == DISK and not expected.held(self.model, self.devices[0]):
                expected.place(found, self.model, self.devices[0], copy.revision, copy.size)
            files = (DRAM, copy)
        wanted = Service(
            model=self.model,
            places=frozenset(device.tier_name for device in self.devices),
            port=None if "port" in self.late else self.port,
            address=self.address,
            guarded=key is not None,
        )
        if expected.publish(found, self.model, self.devices, wanted):
            expected.load(
                found,
                self.model,
                self.devices,
                engine=None if "engine" in self.late else self.engine,
                engine_is_late=bool({"engine", "config"} & self.late.keys()),
                revision=None,
                reads=None if files is None else files[0],
                with_service=True,
            )
        return found.finding()

    async def run(self, models: Models, *, progress: ProgressCallback) -> ServeResult:
        return await models.serve(
            self.model,
            self.devices,
            engine=self.engine,
            port=self.port,
            address=self.address,
            api_key_env=self.api_key_env,
            config=self.config,
            timeout_s=self.timeout_s,
            progress=progress,
        )

    def settle(self, result: ServeResult, outcome: Outcome) -> None:
        outcome.served(result)


class WrittenServe(WrittenForModel):
    devices: list[str] | None = Field(default=None, description="GPUs of one node, or its dram.")
    device: str | None = Field(default=None, description="A GPU, or a node's dram.")
    target_device: str | None = Field(default=None, description="A GPU, or a node's dram.")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="A free one if it is not there."
    )
    address: str = Field(
        default=LOOPBACK,
        description="The address of the node that it listens at; 127.0.0.1 if it is not there.",
    )
    api_key_env: str | None = Field(
        default=None, description="The variable of this machine's environment that holds the key."
    )
    engine: str | None = Field(
        default=None, description="What loads it: vllm, mlx or command; what the node has else."
    )
    config: dict[str, Any] | None = Field(default=None, description="Settings of the engine.")
    timeout: Limit | None = Field(default=TIMEOUT_S, description="The time until it must answer.")

    own_timeout: ClassVar[bool] = True

    def action(self, parse: ParseDevice, late: Mapping[str, str]) -> Serve:
        engine, config = engine_and_config(self.engine, self.config)
        self._check_address()
        return Serve(
            action_id=self.action_id,
            late=late,
            model=self.model_name,
            devices=tuple(place.device for place in self._places(parse)),
            engine=engine,
            port=self.port,
            address=self.address,
            api_key_env=self.api_key_env,
            config=config,
            timeout_s=self.timeout or TIMEOUT_S,
        )

    def _places(self, parse: ParseDevice) -> list[Place]:
        written = {"device": self.device, "target_device": self.target_device}
        places = read_places({"devices": self.devices, **written}, parse)
        if not places:
            raise SpellingError((), "it does not say where", hint="write `device: node1:gpu0`")
        message = "an engine runs on a GPU or in dram, not on {device}"
        require_tiers(places, (DRAM, GPU), message)
        try:
            one_engine([place.device for place in places])
        except DeviceError as error:
            raise SpellingError(places[-1].path, error.message, hint=error.hint) from None
        return places

    def _check_address(self) -> None:
        if self.api_key_env is not None or "${" in self.address or is_loopback(self.address):
            return
        raise SpellingError(
            ("address",),
            f"{self.address} can be reached from other machines, and there is no key",
            hint="name the environment variable that holds the key: `api_key_env: …`",
        )
