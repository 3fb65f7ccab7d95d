"""What huggingface_hub raises, as a `SourceError` with the hub's own reason and a hint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from gswarm_tui.errors import SourceError, SourceUnreachableError
from gswarm_tui.sources.urls import reason_of

_LOG_IN = "set HF_TOKEN, or log in with `hf auth login`"


@contextmanager
def explained(reference: str, endpoint: str, *, has_token: bool) -> Iterator[None]:
    """Turn what the Hub's client raises into `SourceError`.

    Args:
        reference: the source, for ``where``.
        endpoint: the hub that is asked.
        has_token: whether a token was sent; the advice differs.
    """
    try:
        yield
    except HfHubHTTPError as error:
        message, hint = _explain_answer(error, endpoint, has_token=has_token)
        status = error.response.status_code
        passing = status == 429 or status >= 500
        error_class = SourceUnreachableError if passing else SourceError
        raise error_class(message, where=reference, hint=hint) from error
    except OfflineModeIsEnabled as error:
        raise SourceError(
            "HF_HUB_OFFLINE is set", where=reference, hint="unset it to ask the hub"
        ) from error
    except httpx2.TimeoutException as error:
        raise SourceUnreachableError(
            f"{endpoint} did not answer in time", where=reference, hint=_reach(endpoint)
        ) from error
    except httpx2.HTTPError as error:
        raise SourceUnreachableError(
            f"{endpoint} could not be reached: {reason_of(error)}",
            where=reference,
            hint=_reach(endpoint),
        ) from error


def _explain_answer(
    error: HfHubHTTPError, endpoint: str, *, has_token: bool
) -> tuple[str, str | None]:
    status = error.response.status_code
    said = (error.server_message or "").replace("\n", " ").strip()
    reason = f" ({said})" if said else ""
    if isinstance(error, GatedRepoError):
        ask = f"ask for access on {endpoint}" if has_token else f"ask for access, and {_LOG_IN}"
        return f"the repository is gated, and access was not given{reason}", ask
    if isinstance(error, RevisionNotFoundError):
        return (
            f"the repository has no such revision{reason}",
            "name a branch, a tag or a commit of it",
        )
    if isinstance(error, RemoteEntryNotFoundError):
        return f"a file that the hub lists is not there{reason}", "run the same again"
    if isinstance(error, RepositoryNotFoundError):
        hint = "check its spelling"
        return (
            f"{endpoint} has no such repository, or it is private{reason}",
            hint if has_token else f"{hint}; if it is private, {_LOG_IN}",
        )
    if status == 401:
        return f"{endpoint} does not accept the token{reason}", _LOG_IN
    if status == 403:
        return f"{endpoint} forbids it{reason}", "check what the token may read"
    if status == 429:
        return f"{endpoint} has had too many requests from here{reason}", _wait(error, has_token)
    if status >= 500:
        return f"{endpoint} has a fault of its own (HTTP {status}){reason}", "try again later"
    return (
        f"{endpoint} answered HTTP {status}{reason}",
        "check that it is a hub: $HF_ENDPOINT, where it is set, says which one is asked",
    )


def _wait(error: HfHubHTTPError, has_token: bool) -> str:
    seconds = error.response.headers.get("Retry-After", "")
    when = f"try again in {seconds} s" if seconds.isdigit() else "try again in five minutes"
    return when if has_token else f"{when}; with a token the limit is higher: {_LOG_IN}"


def _reach(endpoint: str) -> str:
    return (
        f"check that this machine reaches {endpoint}, or set HF_ENDPOINT to a hub that it reaches"
    )
