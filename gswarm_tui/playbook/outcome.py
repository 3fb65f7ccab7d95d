"""Where models are and what answers after a job, as far as the job itself knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from gswarm_tui.devices import Device
from gswarm_tui.models.results import HealthResult, PlacementResult, ServeResult, Verification


@final
class Outcome:
    """Filled by what each action did, in the order of the plan."""

    def __init__(self) -> None:
        self.copies: dict[tuple[str, str], PlacementResult] = {}
        """By model and device: the result that put it there."""
        self.services: list[ServeResult] = []
        self.completions: list[HealthResult] = []
        self.verified: dict[tuple[str, str, str], Verification] = {}
        """By model, device and revision: what was found when it was read last."""

    def placed(self, result: PlacementResult) -> None:
        for device in result.devices:
            self.copies[result.model, device] = result

    def removed(self, model: str, devices: Iterable[Device]) -> None:
        """Copies are gone; a service ends with its engine."""
        names = [str(device) for device in devices]
        for name in names:
            self.copies.pop((model, name), None)
        gone = [key for key in self.verified if key[0] == model and key[1] in names]
        for key in gone:
            del self.verified[key]
        self.stopped(model, names)

    def verified_as(self, model: str, copies: Iterable[Verification]) -> None:
        for copy in copies:
            self.verified[model, copy.device, copy.revision] = copy

    def served(self, result: ServeResult) -> None:
        self.services.append(result)

    def stopped(self, model: str, devices: Iterable[str] | None) -> None:
        """Services have ended, on these devices or (None) everywhere."""
        names = None if devices is None else set(devices)
        self.services = [
            service
            for service in self.services
            if service.model != model or (names is not None and names.isdisjoint(service.devices))
        ]

    def answered(self, result: HealthResult) -> None:
        if result.completion is not None:
            self.completions.append(result)
