"""``health_check``: ask a URL, and with a prompt the model behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from gswarm_tui.models.results import HealthResult
from gswarm_tui.models.serving import api_key
from gswarm_tui.playbook.actions.base import Action, ParseDevice, SpellingError, Use, Written
from gswarm_tui.playbook.check.finding import Draft, Finding
from gswarm_tui.playbook.language.options import Limit
from gswarm_tui.progress import ProgressCallback
from gswarm_tui.sources.urls import hide_secrets
from gswarm_tui.wording import limit

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.check.expected import Expected
    from gswarm_tui.playbook.outcome import Outcome

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck(Action):
    """A URL whose host is a node's name is asked from that node."""

    result: ClassVar = HealthResult

    url: str
    prompt: str | None
    model: str | None
    timeout_s: float
    api_key_env: str | None

    def summary(self) -> str:
        return f"{hide_secrets(self.url)}{'' if self.prompt is None else ' and a completion'}"

    def sentence(self) -> str:
        url = hide_secrets(self.shown("target_url", self.url))
        prompt = "" if self.prompt is None else " and for a completion"
        return f"asks {url} for an answer{prompt}, for {limit(self.timeout_s)} at most"

    def uses(self) -> Iterable[Use]:
        return ()

    async def compare(self, expected: Expected) -> Finding:
        api_key(self.api_key_env)
        host = urlsplit(self.url).hostname or ""
        if "target_url" not in self.late and host in expected.models.nodes:
            await expected.look([host])
            expected.node(host)
        found = Draft()
        found.does("what is answered is seen when it runs")
        return found.finding()

    async def run(self, models: Models, *, progress: ProgressCallback) -> HealthResult:
        return await models.check_health(
            self.url,
            prompt=self.prompt,
            model=self.model,
            timeout_s=self.timeout_s,
            api_key_env=self.api_key_env,
        )

    def settle(self, result: HealthResult, outcome: Outcome) -> None:
        outcome.answered(result)


class WrittenHealthCheck(Written):
    target_url: str = Field(description="The URL that is asked; its host may be a node's name.")
    model_name: str | None = Field(
        default=None, description="The model that is asked; the first that is offered else."
    )
    prompt: str | None = Field(
        default=None, description="Asks for a completion of this text as well."
    )
    timeout: Limit | None = Field(default=TIMEOUT_S, description="The time until it must answer.")
    api_key_env: str | None = Field(
        default=None, description="The variable of this machine's environment that holds the key."
    )
    devices: list[str] | None = Field(default=None, description="May be there, and empty.")

    own_timeout: ClassVar[bool] = True

    @field_validator("target_url")
    @classmethod
    def _is_a_url(cls, url: str) -> str:
        if url.startswith("${"):
            return url
        try:
            parts = urlsplit(url)
            well_formed = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            well_formed = False
        if not well_formed:
            raise ValueError(f"{url!r:.120} is not a URL such as http://node1:8080/health")
        return url

    def action(self, parse: ParseDevice, late: Mapping[str, str]) -> HealthCheck:
        if self.devices:
            message = "a health check asks a URL, it has no devices"
            raise SpellingError(("devices",), message, hint="`target_url` says what is asked")
        return HealthCheck(
            action_id=self.action_id,
            late=late,
            url=self.target_url,
            prompt=self.prompt,
            model=self.model_name,
            timeout_s=self.timeout or TIMEOUT_S,
            api_key_env=self.api_key_env,
        )
