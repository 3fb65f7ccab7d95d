"""Turns exceptions that were not foreseen into errors that help the user."""

from __future__ import annotations

import errno

from .errors import HelperError, Kind

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def explained(error: Exception, doing: str) -> HelperError:
    """The error as the user sees it.

    Args:
        doing: what did not work, ``the engine's record cannot be written``.

    Returns:
        A `HelperError` as it is; for anything else one that names what the system said.
    """
    if isinstance(error, HelperError):
        return error
    if not isinstance(error, OSError):
        return HelperError(
            Kind.INTERNAL,
            f"{doing}: {type(error).__name__}: {error}"[:500],
            hint="the helper's log on the node, helper.log, has the details",
        )
    kind, hint = Kind.INTERNAL, "the helper's log on the node, helper.log, has the details"
    if error.errno in _FULL:
        kind, hint = Kind.NO_SPACE, "free some space (or inodes, or quota) on the node; try again"
    elif error.errno in _FORBIDDEN:
        kind, hint = Kind.PERMISSION, "see who owns that path on the node, and how it is mounted"
    where = None if error.filename is None else str(error.filename)
    return HelperError(kind, f"{doing}: {error.strerror or error}", where=where, hint=hint)
