"""Errors on a node, as they travel to the controller.

An error on the wire is the map ``{kind, message, hint, where}``; ``kind`` is for programs, the
rest is for the person who reads it.
"""

from __future__ import annotations

from typing import Any, Dict, Optional


class Kind:
    """The kinds of error that a helper answers with."""

    INVALID = "invalid"  # the request itself is wrong
    NOT_FOUND = "not_found"
    EXISTS = "exists"  # something else of that name is there
    IN_USE = "in_use"
    NO_SPACE = "no_space"  # disk, tmpfs or quota
    MISMATCH = "mismatch"  # bytes differ from what the source promised
    INCOMPLETE = "incomplete"
    SOURCE = "source"  # the source answered, and said no
    UNREACHABLE = "unreachable"  # the network in between
    ENGINE_FAILED = "engine_failed"
    PORT_TAKEN = "port_taken"
    FAILED = "failed"  # a command ended with another status than 0
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    UNSUPPORTED = "unsupported"
    PERMISSION = "permission"
    PROTOCOL = "protocol"
    INTERNAL = "internal"  # a bug of ours


class HelperError(Exception):
    """An error with something to say to the user.

    Args:
        kind: one of `Kind`.
        message: what was wrong, one sentence without a final stop.
        hint: what to do next.
        where: a path, a device or a URL without credentials.
    """

    def __init__(
        self, kind: str, message: str, *, hint: Optional[str] = None, where: Optional[str] = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint
        self.where = where

    def to_wire(self) -> Dict[str, Any]:
        return {
            "kind": self.kind,
            "message": self.message,
            "hint": self.hint,
            "where": self.where,
        }

    @classmethod
    def from_wire(cls, error: Any) -> HelperError:
        """Rebuild an error from the wire; what is no error map becomes `Kind.PROTOCOL`."""
        if not isinstance(error, dict):
            return cls(Kind.PROTOCOL, f"malformed error in a response: {error!r:.200}")

        def text(key: str) -> Optional[str]:
            value = error.get(key)
            return value if isinstance(value, str) else None

        return cls(
            text("kind") or Kind.PROTOCOL,
            text("message") or "the helper gave no reason",
            hint=text("hint"),
            where=text("where"),
        )
