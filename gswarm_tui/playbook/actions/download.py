"""``download``: fetch a model from where it comes from, to disks or memory of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from gswarm_tui.devices import DISK, DRAM, WEB, Device
from gswarm_tui.errors import SourceNameError
from gswarm_tui.models.results import DownloadResult
from gswarm_tui.playbook.actions.base import (
    Action,
    ParseDevice,
    SpellingError,
    Use,
    WrittenForModel,
    copy_of,
    described,
    listed,
    network_of,
)
from gswarm_tui.playbook.actions.places import Place, read_places, require_tiers
from gswarm_tui.playbook.check.finding import Draft, Finding, Unknowable
from gswarm_tui.progress import ProgressCallback
from gswarm_tui.sources import parse as parse_source
from gswarm_tui.sources.hf import HubSource
from gswarm_tui.sources.urls import hide_secrets

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.check.expected import Expected
    from gswarm_tui.playbook.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Download(Action):
    """``source`` None is the registry's, looked up when it runs."""

    result: ClassVar = DownloadResult

    model: str
    source: str | None
    targets: tuple[Device, ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    type: str | None
    description: str | None
    token: str | None = field(default=None, repr=False)

    def summary(self) -> str:
        source = "its registered source" if self.source is None else hide_secrets(self.source)
        return f"{self.model} from {source} to {listed(self.targets)}"

    def sentence(self) -> str:
        source = "where it is registered to come from"
        if self.source is not None:
            source = hide_secrets(self.shown("source", self.source))
        return f"downloads {self.model} from {source} to {described(self.targets)}"

    def uses(self) -> Iterable[Use]:
        for target in self.targets:
            yield copy_of(self.model, target, "writes", exclusive=True)
            yield network_of(target.node)

    def known(self) -> Mapping[str, Any]:
        return known_places(self.model, self.targets)

    async def compare(self, expected: Expected) -> Finding:
        for target in self.targets:
            expected.node(target.node)
        for name in ("source", "source_url", "include", "exclude", "token"):
            if name in self.late:
                raise Unknowable(f"{self.late[name]} is known only when it runs")
        if self.source is not None:
            expected.sources[self.model] = self.source
        source = await expected.models.look_at_source(
            self.model,
            expected.sources.get(self.model),
            node=str(self.targets[0].node),
            include=self.include,
            exclude=self.exclude,
            token=self.token,
        )
        found = Draft()
        for target in self.targets:
            expected.place(found, self.model, target, source.revision, source.size)
        return found.finding()

    async def run(self, models: Models, *, progress: ProgressCallback) -> DownloadResult:
        return await models.download(
            self.model,
            self.source,
            self.targets,
            type=self.type,
            description=self.description,
            include=self.include,
            exclude=self.exclude,
            token=self.token,
            progress=progress,
        )

    def settle(self, result: DownloadResult, outcome: Outcome) -> None:
        outcome.placed(result)


class WrittenDownload(WrittenForModel):
    source_url: str | None = Field(default=None, description="The same as `source`.")
    source: str | None = Field(
        default=None,
        description="Where from: hf://org/name, https://…, file://…; as registered else.",
    )
    source_device: str | None = Field(default=None, description="web, if it is there.")
    devices: list[str] | None = Field(default=None, description="Where to; may begin with web.")
    device: str | None = Field(default=None, description="Where to.")
    target_device: str | None = Field(default=None, description="Where to.")
    include: str | list[str] | None = Field(
        default=None, description="The files that are fetched: a pattern of names, or several."
    )
    exclude: str | list[str] | None = Field(
        default=None, description="The files that are not fetched: a pattern of names, or several."
    )
    type: str | None = Field(default=None, description="What the registry says that the model is.")
    description: str | None = Field(
        default=None, description="What the registry says of the model."
    )
    token: str | None = Field(
        default=None, description="For the hub that it comes from; may be a secret."
    )

    takes_secrets: ClassVar = frozenset({"token"})

    def action(self, parse: ParseDevice, late: Mapping[str, str]) -> Download:
        return Download(
            action_id=self.action_id,
            late=late,
            model=self.model_name,
            source=self._source(),
            targets=tuple(place.device for place in self._targets(parse)),
            include=_patterns(self.include),
            exclude=_patterns(self.exclude),
            type=self.type,
            description=self.description,
            token=self.token,
        )

    def _source(self) -> str | None:
        if self.source and self.source_url and self.source != self.source_url:
            message = "`source` and `source_url` name different sources; one of them is enough"
            raise SpellingError(("source_url",), message)
        source = self.source or self.source_url
        if source is not None and "${" not in source:
            try:
                parsed = parse_source(source)
            except SourceNameError as error:
                key = "source" if self.source else "source_url"
                raise SpellingError((key,), error.message, hint=error.hint) from None
            if self.token is not None and not isinstance(parsed, HubSource):
                raise SpellingError(("token",), "a token is for a model on a hub: `hf://org/name`")
        return source

    def _targets(self, parse: ParseDevice) -> list[Place]:
        devices = self.devices or []
        # `devices: [web, node1:disk]` names the source as the other actions do.
        from_web = devices[:1] == [WEB]
        if self.source_device not in (None, WEB):
            hint = "`action_type: copy` copies between devices"
            raise SpellingError(("source_device",), "a download comes from the web", hint=hint)
        written = {"device": self.device, "target_device": self.target_device}
        places = read_places({"devices": devices[from_web:], **written}, parse)
        if not places:
            message = "it does not say to where"
            raise SpellingError((), message, hint="write `devices: [node1:disk]`")
        require_tiers(places, (DISK, DRAM), "a download lands on disk or dram, not on {device}")
        return places


def known_places(model: str, targets: tuple[Device, ...]) -> Mapping[str, Any]:
    """What is certain before a model is placed; the same for download, copy and move."""
    return {
        "model": model,
        "device": str(targets[0]),
        "devices": [str(device) for device in targets],
    }


def _patterns(written: str | list[str] | None) -> tuple[str, ...]:
    if written is None:
        return ()
    return (written,) if isinstance(written, str) else tuple(written)
