"""Where a service answers: from the node, from where the user sits, through a tunnel."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from gswarm_tui.loopback import is_loopback

if TYPE_CHECKING:
    from gswarm_tui.inventory.nodespec import NodeSpec


def node_url(node: str, port: int) -> str:
    """The URL that names the node: what a playbook's ``target_url`` has, from anywhere."""
    return f"http://{bracketed(node)}:{port}"


def endpoint_of(spec: NodeSpec, address: str, port: int) -> str | None:
    """The URL that answers from where the user sits; None where a tunnel is needed first."""
    if spec.connection == "local":
        return f"http://{bracketed(_reachable_here(address))}:{port}"
    if is_loopback(address):
        return None
    return f"http://{bracketed(spec.host if is_wildcard(address) else address)}:{port}"


def tunnel_to(spec: NodeSpec, address: str, port: int) -> str | None:
    """The ``ssh -L`` line that makes a service answer on the user's loopback, if one is needed."""
    if endpoint_of(spec, address, port) is not None:
        return None
    return shlex.join(spec.ssh("-L", f"{port}:{bracketed(address)}:{port}", "-N"))


def is_wildcard(address: str) -> bool:
    """Whether a service that binds `address` answers on every address of its machine."""
    return address in ("", "0.0.0.0", "::")  # noqa: S104 - recognised, not bound


def bracketed(host: str) -> str:
    """A host as a URL has it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _reachable_here(address: str) -> str:
    return "127.0.0.1" if is_wildcard(address) else address
