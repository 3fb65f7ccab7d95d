"""What a forwarder lets through, and what it makes of it.

Only these reach an engine, at paths and with headers that are written here and never copied:

- ``GET /health``: whether the engine is healthy; it needs no key, and says nothing else.
- ``GET /v1/models``: answered by the forwarder itself: an engine may list what is none of ours.
- ``POST`` to the serving paths: a JSON object, whose ``model`` is one of the service's names and
  becomes the engine's own.

A request's target is compared byte by byte: nothing is decoded or normalised, so no spelling of
another path can mean one of these. The body is parsed and written anew, so an engine cannot read
in it what was not read here.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..engines.base import Endpoint, Ready
from ..process import ProcessRecord

HEALTH = b"/health"
MODELS = b"/v1/models"

PASSED_ON = (b"accept", b"traceparent", b"tracestate", b"x-request-id")
"""Headers of a request that an engine sees; its key is not among them."""

PASSED_BACK = (
    b"cache-control",
    b"content-length",
    b"content-type",
    b"retry-after",
    b"x-request-id",
)
"""Headers of an engine's answer that a user sees."""

Headers = List[Tuple[bytes, bytes]]


class Refusal(Exception):
    """A request that is not passed on, with the answer in the form of OpenAI's errors."""

    def __init__(self, status: int, message: str, *, code: str, kind: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = json.dumps(
            {"error": {"message": message, "type": kind, "param": None, "code": code}}
        ).encode()

    @property
    def headers(self) -> Headers:
        extra = [(b"www-authenticate", b"Bearer")] if self.status == 401 else []
        return [(b"content-type", b"application/json"), *extra]


def invalid(message: str, *, status: int = 400, code: str = "invalid_request") -> Refusal:
    return Refusal(status, message, code=code, kind="invalid_request_error")


def engine_down(message: str) -> Refusal:
    return Refusal(502, message, code="engine_unavailable", kind="server_error")


def busy() -> Refusal:
    return Refusal(503, "too many connections", code="overloaded", kind="server_error")


def engine_silent(silence_s: Optional[float]) -> Refusal:
    message = f"the engine has said nothing for {silence_s or 0:g} s"
    return Refusal(504, message, code="timeout", kind="server_error")


@dataclass(frozen=True)
class Publication:
    """What one forwarder has to know.

    Args:
        names: what users may call the model.
        served_name: what the engine calls it.
        endpoint, ready: the engine's.
        paths: POST paths that are let through.
        refused: keys of a body that would make the engine load something else.
        created: seconds since the epoch, for the list of models.
        silence_s: how long the engine may say nothing on a request; None for as long as it likes.
        key: None where anybody may ask.
        engine: its process; None where it is not known.
    """

    names: Tuple[str, ...]
    served_name: str
    endpoint: Endpoint
    ready: Ready
    paths: Tuple[str, ...]
    refused: Tuple[str, ...]
    created: int
    silence_s: Optional[float] = None
    key: Optional[str] = field(default=None, repr=False)
    engine: Optional[ProcessRecord] = None

    def to_dict(self) -> Dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Publication:
        values = dict(data)
        values["endpoint"] = Endpoint(**values["endpoint"])
        values["ready"] = Ready(**values["ready"])
        for name in ("names", "paths", "refused"):
            values[name] = tuple(values[name])
        if values["engine"] is not None:
            values["engine"] = ProcessRecord.from_dict(values["engine"])
        return cls(**values)

    def engine_lives(self) -> bool:
        """Whether what listens at the engine's place may be the engine.

        A port that it has left can be anybody's, who would be sent what users write; its socket is
        in a folder of its own.
        """
        return self.endpoint.uds is not None or self.engine is None or self.engine.alive()

    def path_of(self, method: bytes, target: bytes) -> bytes:
        """The path that a request is let through to; its query goes nowhere.

        Raises:
            Refusal: it is none of the service's.
        """
        path = target.partition(b"?")[0]
        if method == b"GET" and path in (HEALTH, MODELS):
            return path
        if method == b"POST" and path in [known.encode() for known in self.paths]:
            return path
        raise invalid("this service has no such path", status=404, code="not_found")

    def check_key(self, headers: Sequence[Tuple[bytes, bytes]]) -> None:
        """Refuse a request without the key, if there is one.

        Raises:
            Refusal: 401.
        """
        if self.key is None:
            return
        given = [value for name, value in headers if name == b"authorization"]
        scheme, _, token = (given[0] if len(given) == 1 else b"").partition(b" ")
        fits = hmac.compare_digest(token.strip(), self.key.encode())
        if scheme.lower() != b"bearer" or not fits:
            raise invalid(
                "this service wants its key: Authorization: Bearer KEY",
                status=401,
                code="invalid_api_key",
            )

    def models(self) -> bytes:
        """The list of models in OpenAI's form."""
        listed = [
            {"id": name, "object": "model", "created": self.created, "owned_by": "gswarm"}
            for name in self.names
        ]
        return json.dumps({"object": "list", "data": listed}).encode()

    def translated(self, body: bytes) -> bytes:
        """The body as the engine gets it.

        Raises:
            Refusal: it is no JSON object, names another model, or would have another loaded.
        """
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            raise invalid("the body is not JSON") from None
        if not isinstance(content, dict):
            raise invalid("the body is not a JSON object")
        model = content.get("model", self.names[0])
        if model not in self.names:
            raise invalid(
                f"the model {model!r:.100} is not served here; {', '.join(self.names)} is",
                status=404,
                code="model_not_found",
            )
        for key in self.refused:
            if key in content:
                raise invalid(f"this service takes no {key!r}")
        content["model"] = self.served_name
        return json.dumps(content).encode()
