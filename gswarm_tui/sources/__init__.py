"""Where models come from: one file a source, each turns a reference into a `Resolved`.

::

    hf://org/name[@revision]          hf.py    huggingface.co, or what $HF_ENDPOINT names
    https://huggingface.co/org/name   hf.py    the same; also /tree/revision, and a file's address
    https://host/path/file            http.py  one file
    file:///path                      path.py  a file or folder on the node
    local:path                        path.py  a file or folder on the controller, uploaded
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from gswarm_tui.errors import SourceNameError
from gswarm_tui.progress import ProgressCallback, ignore
from gswarm_tui.sources import hf, http, path
from gswarm_tui.sources.base import Choice, Resolved, Source, SourceFile
from gswarm_tui.sources.urls import hide_secrets

__all__ = ["Resolved", "Source", "SourceFile", "from_options", "measure", "parse", "resolve"]

ACCEPTED = (
    "hf://org/name[@revision], https://huggingface.co/org/name, https://host/path/file, "
    "file:///path/on/the/node or local:path/on/this/machine"
)
_HUB_WORDS = frozenset({"huggingface", "hf", "hub"})


def parse(reference: str, *, environ: Mapping[str, str] = os.environ) -> Source:
    """Understand a reference, without asking anybody.

    Args:
        reference: what the user wrote; the forms are in this module's docstring.
        environ: ``HF_ENDPOINT`` in it makes that hub's web addresses references as well.

    Raises:
        SourceNameError: it is none of the forms, or a wrong one of them.
    """
    text = reference.strip()
    source = (
        hf.parse(text, environ)
        or http.parse(text)
        or path.parse_node_path(text)
        or path.parse_controller_path(text)
    )
    if source is None:
        raise SourceNameError(
            f"{hide_secrets(text)!r:.200} is no source of a model", hint=f"write {ACCEPTED}"
        )
    return source


async def resolve(
    reference: str,
    *,
    revision: str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
    progress: ProgressCallback = ignore,
) -> Resolved:
    """Ask a source what a model is made of.

    Args:
        reference: see `parse`.
        revision: a branch, tag or commit, where the source has them; else its default branch.
        include: patterns of the files that are wanted; all of them if there is none (see `Choice`).
        exclude: patterns of the files that are not.
        environ: where HF_ENDPOINT, HF_TOKEN and the like are read.
        progress: called from a thread while local files are hashed.

    Raises:
        SourceNameError: the reference, revision or patterns are wrong; nothing was asked.
        SourceError: the source said no, could not be reached, or lists files that are refused.
    """
    source = parse(reference, environ=environ)
    choice = Choice(tuple(include), tuple(exclude))
    return await source.resolve(
        revision=revision, choice=choice, environ=environ, progress=progress
    )


async def measure(
    reference: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Resolved:
    """`resolve`, but files of this machine are not read: their digests are not there.

    Raises:
        SourceNameError, SourceError: as `resolve`.
    """
    source = parse(reference, environ=environ)
    choice = Choice(tuple(include), tuple(exclude))
    if isinstance(source, path.ControllerSource):
        return await source.measure(choice=choice)
    return await source.resolve(choice=choice, environ=environ)


def from_options(source: str | None, url: str | None) -> str | None:
    """The reference that ``--source`` and ``--url`` mean together; None if neither is given.

    ``--source`` is a reference, or the word ``huggingface`` with ``--url``; ``--url`` alone is a
    reference as well.

    Raises:
        SourceNameError: the two contradict each other, or there is only the word.
    """
    if source is None or url is None:
        if source is not None and source.lower() in _HUB_WORDS:
            raise SourceNameError(
                f"--source {source} needs --url", hint="write --url https://huggingface.co/org/name"
            )
        return source if url is None else url
    if source.lower() not in _HUB_WORDS:
        raise SourceNameError(
            f"--source {hide_secrets(source)} and --url are two sources",
            hint="give one of them, or --source huggingface with --url",
        )
    if "://" not in url and url.count("/") == 1:
        return f"hf://{url}"
    return url
