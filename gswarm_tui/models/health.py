"""Ask a URL whether it answers, and a model what it says."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from gswarm_remote.errors import HelperError, Kind

from gswarm_tui.errors import GswarmError, RemoteError, UsageError
from gswarm_tui.loopback import is_loopback
from gswarm_tui.models.addresses import bracketed, is_wildcard
from gswarm_tui.models.ground import Ground
from gswarm_tui.models.results import HealthResult
from gswarm_tui.models.serving import api_key

CONTROLLER = "controller"
MAX_TOKENS = 32
_QUOTED = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `latency_s` from the request to the end of the body."""

    status: int
    latency_s: float
    body: str

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Asker:
    """Sends requests from a node, or from here where `node` is None.

    Args:
        url: what the user asked for; errors name it.
    """

    ground: Ground
    node: str | None
    url: str
    headers: dict[str, str]
    timeout_s: float

    async def ask(self, method: str, url: str, content: dict[str, Any] | None = None) -> Answer:
        """Send one request.

        Raises:
            GswarmError: nothing answered, of the kind ``unreachable``; or the request is malformed.
            NodeError: the node that should ask cannot be reached.
        """
        body = "" if content is None else json.dumps(content)
        headers = dict(self.headers)
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            if self.node is None:
                return await _ask_from_here(method, url, headers, body, self.timeout_s)
            return await self._ask_from_node(method, url, headers, body)
        except (HelperError, RemoteError) as error:
            if error.kind not in (Kind.UNREACHABLE, Kind.INVALID):
                raise
            failure = GswarmError(
                f"{error.message}, asked from {self.node or 'this machine'}",
                where=self.url,
                hint=error.hint,
            )
            if error.kind == Kind.UNREACHABLE:
                # `retry` waits for a service that is not up yet. No `UnreachableError`: whose exit
                # code says that a node could not be reached, and here it is what was asked about.
                failure.kind = "unreachable"
            raise failure from None

    async def expect(self, method: str, url: str, content: dict[str, Any] | None = None) -> Answer:
        """Send one request that has to be answered with a 2xx status.

        Raises:
            GswarmError: with what answered instead.
        """
        answer = await self.ask(method, url, content)
        if not answer.ok:
            said = " ".join(answer.body.split())[:_QUOTED]
            raise GswarmError(
                f"{method} {urlsplit(url).path or '/'} was answered with {answer.status}"
                + (f": {said}" if said else ""),
                where=self.url,
                hint="the service wants its key: --api-key-env NAME (api_key_env:)"
                if answer.status == 401
                else None,
            )
        return answer

    async def _ask_from_node(
        self, method: str, url: str, headers: dict[str, str], body: str
    ) -> Answer:
        params = {
            "url": url,
            "method": method,
            "headers": headers,
            "body": body,
            "timeout_s": self.timeout_s,
        }
        answer = await self.ground.call(str(self.node), "http.check", params)
        return Answer(answer["status"], answer["latency_s"], _text(answer["body"]))


async def check_health(
    ground: Ground,
    url: str,
    *,
    prompt: str | None,
    model: str | None,
    timeout_s: float,
    api_key_env: str | None,
) -> HealthResult:
    """See `gswarm_tui.models.Models.check_health`."""
    parts = _split(url)
    key = api_key(api_key_env)
    node = _node_of(ground, parts)
    if node is not None:
        parts = await _as_seen_there(ground, node, parts)
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    asker = Asker(ground, node, url, headers, timeout_s)
    answer = await asker.expect("GET", parts.geturl())
    return HealthResult(
        url=url,
        status=answer.status,
        ok=True,
        latency_ms=round(answer.latency_s * 1000, 3),
        checked_from=node or CONTROLLER,
        prompt=prompt,
        completion=None if prompt is None else await _complete(asker, parts, prompt, model),
    )


async def _complete(asker: Asker, parts: SplitResult, prompt: str, model: str | None) -> str:
    """What the model says to `prompt`, at temperature 0 so that it says the same each time."""
    origin = f"{parts.scheme}://{parts.netloc}"
    model = model or await _first_model(asker, origin)
    content: dict[str, Any] = {"prompt": prompt, "max_tokens": MAX_TOKENS, "temperature": 0}
    if model is not None:
        content["model"] = model
    answer = await asker.expect("POST", f"{origin}/v1/completions", content)
    try:
        return str(json.loads(answer.body)["choices"][0]["text"])
    except (ValueError, LookupError, TypeError):
        said = " ".join(answer.body.split())[:_QUOTED]
        raise GswarmError(f"what answered is no completion: {said}", where=asker.url) from None


async def _first_model(asker: Asker, origin: str) -> str | None:
    """The model that a server of the OpenAI kind offers; None where it does not say."""
    answer = await asker.ask("GET", f"{origin}/v1/models")
    try:
        return str(json.loads(answer.body)["data"][0]["id"])
    except (ValueError, LookupError, TypeError):
        return None


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        well_formed = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        well_formed = False
    if "@" in (parts.netloc if well_formed else url):
        raise UsageError(
            "a URL to check must not hold a user or a password",
            hint="put the service's key in an environment variable: --api-key-env NAME"
            " (api_key_env:)",
        )
    if not well_formed:
        raise UsageError(
            f"{url!r:.200} is no URL to check", hint="write it as http://node1:8080/health"
        )
    return parts


def _node_of(ground: Ground, parts: SplitResult) -> str | None:
    """The node whose name or host the URL has; a loopback host means this machine."""
    host = parts.hostname or ""
    for name, spec in ground.nodes.items():
        if host == name.lower() or (host == spec.host.lower() and not is_loopback(host)):
            return name
    return None


async def _as_seen_there(ground: Ground, node: str, parts: SplitResult) -> SplitResult:
    """The URL as the node itself reaches it: on loopback, or where its service listens."""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = "127.0.0.1"
    for service in (await ground.status(node)).services:
        if service["port"] == port and not is_wildcard(service["address"]):
            address = service["address"]
    return parts._replace(netloc=f"{bracketed(address)}:{port}")


async def _ask_from_here(
    method: str, url: str, headers: dict[str, str], body: str, timeout_s: float
) -> Answer:
    # The same few lines as on a node, so that a check means the same from everywhere.
    from gswarm_remote import http

    started = time.perf_counter()
    response = await http.request(
        method, url, headers=headers, body=body.encode(), timeout_s=timeout_s
    )
    return Answer(response.status, time.perf_counter() - started, response.text)


def _text(body: str | bytes) -> str:
    return body.decode(errors="replace") if isinstance(body, bytes) else body
