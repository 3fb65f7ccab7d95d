"""What is asked of a service while one looks at it: what it says, and its engine's log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from gswarm_tui.errors import GswarmError
from gswarm_tui.models.addresses import bracketed, is_wildcard
from gswarm_tui.watch.snapshot import Service

if TYPE_CHECKING:
    from gswarm_tui.cli.context import Settings

ANSWER_S: Final = 120.0
"""For so long an answer is waited for."""
MOST_TOKENS: Final = 512
LOG_LINES: Final = 1000
_QUOTED: Final = 300


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of a talk; ``role`` is ``user`` or ``assistant``."""

    role: str
    text: str


class Talker(Protocol):
    """Asks services."""

    async def say(self, service: Service, talk: Sequence[Said], key_env: str | None) -> str:
        """What the model answers to a talk.

        Args:
            key_env: the variable of this machine's environment that holds the service's key.

        Raises:
            GswarmError: it does not answer, or not with an answer.
        """
        ...

    async def log(self, service: Service) -> str:
        """The end of its engine's log.

        Raises:
            GswarmError: the node cannot be asked.
        """
        ...


@final
class NodeTalker:
    """Asks from the node that a service is on, where it answers whatever it listens at.

    Each question has a connection of its own: nothing is kept open for what is asked rarely.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def say(self, service: Service, talk: Sequence[Said], key_env: str | None) -> str:
        if service.port is None:
            raise GswarmError(
                f"{service.model} has no port that could be asked", where=service.node
            )
        from gswarm_tui.models.serving import api_key

        headers = {"Content-Type": "application/json"}
        key = api_key(key_env)
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        url = _url(service)
        question = {
            "url": url,
            "method": "POST",
            "headers": headers,
            "body": json.dumps(request(service.model, talk)),
            "timeout_s": ANSWER_S,
        }
        return read_answer(await self._ask(service.node, "http.check", question), url)

    async def log(self, service: Service) -> str:
        question = {"id": service.replica, "lines": LOG_LINES}
        return str((await self._ask(service.node, "engine.log", question))["text"])

    async def _ask(self, node: str, method: str, params: Mapping[str, Any]) -> Any:
        from gswarm_tui.cli.context import open_session

        async with open_session(self._settings, notice=lambda _: None) as session:
            return await session.fleet.node(node).call(method, dict(params))


@final
@dataclass(slots=True)
class Echo:
    """A `Talker` that only repeats: for the demo and for tests."""

    error: GswarmError | None = None
    asked: list[tuple[tuple[Said, ...], str | None]] = field(default_factory=list)

    async def say(self, service: Service, talk: Sequence[Said], key_env: str | None) -> str:
        self.asked.append((tuple(talk), key_env))
        if self.error is not None:
            raise self.error
        return f"this is the demo: {service.model} would answer to “{talk[-1].text}”"

    async def log(self, service: Service) -> str:
        if self.error is not None:
            raise self.error
        return f"this is the demo: the log of {service.model} on {service.node} would be here\n"


def request(model: str, talk: Sequence[Said]) -> dict[str, Any]:
    """The body of a question, as the OpenAI kind of server wants it."""
    messages = [{"role": said.role, "content": said.text} for said in talk]
    return {"model": model, "messages": messages, "max_tokens": MOST_TOKENS}


def read_answer(answer: Mapping[str, Any], url: str) -> str:
    """The text in an answer.

    Raises:
        GswarmError: it is no answer; with what it is instead.
    """
    body = answer["body"]
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    quoted = " ".join(text.split())[:_QUOTED]
    if not 200 <= answer["status"] < 300:
        hint = None
        if answer["status"] == 401:
            hint = "it wants its key: type /key NAME, the environment variable that holds it"
        raise GswarmError(f"answered with {answer['status']}: {quoted}", where=url, hint=hint)
    try:
        return str(json.loads(text)["choices"][0]["message"]["content"])
    except (ValueError, LookupError, TypeError):
        raise GswarmError(f"what answered is no chat completion: {quoted}", where=url) from None


def _url(service: Service) -> str:
    """As the node itself reaches it."""
    host = "127.0.0.1" if is_wildcard(service.address) else bracketed(service.address)
    return f"http://{host}:{service.port}/v1/chat/completions"
