"""What a controller asks for when it wants a model published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Tuple

from .. import ports
from ..engines.order import Order, check_seconds
from ..engines.replica import SERVE
from ..errors import HelperError, Kind
from .service import Service

LOOPBACK = "127.0.0.1"
_LONGEST_KEY = 4096
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Offer:
    """A model, the engine that it needs, and where it is to answer.

    Args:
        port: None for one that is free.
        api_key: what a request has to bring, None where anybody may ask. It goes to the forwarder
            through a pipe, and nowhere else.
        names: what users may call the model.
        silence_s: seconds for which the engine may say nothing on a request (``config.timeout``);
            None for as long as it likes.
    """

    order: Order
    names: Tuple[str, ...]
    address: str = LOOPBACK
    port: Optional[int] = None
    api_key: Optional[str] = field(default=None, repr=False)
    silence_s: Optional[float] = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Offer:
        """Check what came over the wire.

        Raises:
            HelperError: with what is wrong.
        """
        order = Order.from_params({**params, "started_by": params.get("started_by", SERVE)})
        address = ports.check_address(str(params.get("address") or LOOPBACK))
        key = _key(params.get("api_key"))
        if key is None and not ports.is_loopback(address):
            raise HelperError(
                Kind.INVALID,
                f"at {address} other machines could use {order.model}, and there is no key",
                where="api_key",
                hint="give a key (api_key_env), or listen on 127.0.0.1",
            )
        timeout = order.config.get("timeout")
        return cls(
            order=order,
            names=_names(params, order.model),
            address=address,
            port=_port(params.get("port")),
            api_key=key,
            silence_s=None if timeout is None else check_seconds(timeout, "config.timeout"),
        )

    @property
    def key(self) -> Tuple[Any, ...]:
        """Equal for offers that are the same work."""
        return (*self.order.key, self.names, self.address, self.port, self.api_key)

    def difference(self, service: Service) -> Optional[str]:
        """What a service has that is not as offered, in words; the key apart."""
        if self.port not in (None, service.port) or self.address != service.address:
            return f"at {service.address} port {service.port}"
        if (self.api_key is not None) != service.guarded:
            return "with a key" if service.guarded else "without a key"
        if self.names != service.names:
            return f"as {', '.join(service.names)}"
        return None


def _key(value: Any) -> Optional[str]:
    if value is None:
        return None
    plain = isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value
    if not plain or not 0 < len(value) <= _LONGEST_KEY:
        raise HelperError(
            Kind.INVALID,
            "the key is empty, too long, or has characters that cannot be in a header",
            where="api_key",
        )
    return str(value)


def _names(params: Mapping[str, Any], model: str) -> Tuple[str, ...]:
    names = params.get("names") or [model]
    well_formed = isinstance(names, (list, tuple)) and all(
        isinstance(name, str) and name.isprintable() and 0 < len(name) <= _LONGEST_NAME
        for name in names
    )
    if not well_formed:
        raise HelperError(Kind.INVALID, "names has to be a list of names", where="names")
    return tuple(dict.fromkeys(names))


def _port(value: Any) -> Optional[int]:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
        raise HelperError(Kind.INVALID, f"{value!r:.40} is no port", where="port")
    return value
