"""Repositories on the Hugging Face Hub, or on whatever speaks its API at ``$HF_ENDPOINT``.

huggingface_hub resolves: one request gives the commit, the files, their sizes and what the Hub
promises of their content (sha256 for LFS files, the git blob's SHA-1 for others). It is imported
when it is needed, because it costs 0.4 s.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from gswarm_tui.errors import SourceError, SourceNameError
from gswarm_tui.progress import Progress, ProgressCallback, ignore
from gswarm_tui.sources.base import Choice, Resolved, SourceFile, suggest_name
from gswarm_tui.sources.urls import hide_secrets, origin_of, read_url

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

DEFAULT_ENDPOINT = "https://huggingface.co"
EXAMPLES = (
    "hf://org/name, hf://org/name@revision, https://huggingface.co/org/name or "
    "https://huggingface.co/org/name/tree/revision"
)
# The Hub's web addresses name a repository; where it is fetched is $HF_ENDPOINT's to say, as for
# every other program that uses the Hub.
_HUB_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,254}")
_NOT_MODELS = frozenset({"datasets", "spaces", "kernels", "buckets", "collections", "docs", "api"})
# The Hub has cut its list of files at this length.
_LONGEST_LISTING = 50_000
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository as it was written; no `revision` is the default branch, no `file` all files."""

    organisation: str
    name: str
    revision: str | None = None
    file: str | None = None

    @property
    def repository(self) -> str:
        return f"{self.organisation}/{self.name}"

    @property
    def reference(self) -> str:
        if self.file is not None:
            revision = quote(self.revision or "main", safe="")
            return f"{DEFAULT_ENDPOINT}/{self.repository}/resolve/{revision}/{quote(self.file)}"
        return f"hf://{self.repository}" + (f"@{self.revision}" if self.revision else "")

    async def resolve(
        self,
        *,
        revision: str | None = None,
        choice: Choice,
        environ: Mapping[str, str],
        progress: ProgressCallback = ignore,
    ) -> Resolved:
        """Ask the Hub for the commit and the files; see `Source.resolve`.

        Access to a gated repository's files is tried here, so that it fails before a node is asked.
        """
        if revision and self.revision and revision != self.revision:
            raise SourceNameError(
                f"{self.reference} names another revision than the {revision!r} that is asked for",
                hint="name the revision once",
            )
        if revision:
            _check_revision(revision, self.reference)
        if self.file is not None:
            choice = _one_file(self.file, choice, self.reference)
        endpoint = endpoint_of(environ)
        progress(Progress("resolve", message=f"asking {endpoint} for {self.repository}"))
        source = HubSource(self.organisation, self.name, revision or self.revision, self.file)
        # The token too is read in the thread: a saved one may have to be refreshed.
        return await asyncio.to_thread(_resolve, source, choice, endpoint, environ)


def parse(reference: str, environ: Mapping[str, str]) -> HubSource | None:
    """Read ``hf://…``, or a web address of a repository on the Hub; None if it is neither.

    Raises:
        SourceNameError: it is one of the two, and wrong.
    """
    if reference.startswith("hf://"):
        repository, _, revision = reference.removeprefix("hf://").partition("@")
        if "@" in reference and not revision:
            raise _wrong(reference, "the revision after @ is empty")
        return _source(reference, repository.split("/"), revision or None)
    if not reference.startswith(("https://", "http://")):
        return None
    path = _path_on_hub(reference, environ)
    return None if path is None else _parse_web_path(reference, path)


def endpoint_of(environ: Mapping[str, str]) -> str:
    """``$HF_ENDPOINT`` without a final slash, or the public Hub.

    Raises:
        SourceNameError: it is not a plain http(s) URL.
    """
    endpoint = (environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    url = read_url(endpoint, what="$HF_ENDPOINT")
    if url.query or url.fragment:
        raise SourceNameError(
            f"$HF_ENDPOINT is {hide_secrets(endpoint)}, which has more than a path"
        )
    return endpoint


def token_of(environ: Mapping[str, str]) -> str | None:
    """``$HF_TOKEN``, else (for this process's own environment) what `hf auth login` saved.

    Raises:
        SourceError: there is a saved token, and it can't be read or refreshed.
    """
    if environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").upper() in ("1", "ON", "YES", "TRUE"):
        return None
    if environ is os.environ:
        return _saved_token()
    return (environ.get("HF_TOKEN") or environ.get("HUGGING_FACE_HUB_TOKEN") or "").strip() or None


def _saved_token() -> str | None:
    from huggingface_hub import get_token
    from huggingface_hub.errors import DeviceCodeError, OIDCError

    try:
        return get_token()
    except (OSError, OIDCError, DeviceCodeError) as error:
        raise SourceError(
            f"the Hugging Face token can't be read: {error}",
            hint="set HF_TOKEN, or log in again with `hf auth login`",
        ) from error


def _path_on_hub(reference: str, environ: Mapping[str, str]) -> str | None:
    """The path below the Hub's root, or None where the URL is not the Hub's."""
    url = read_url(reference, what="the source")
    if (url.hostname or "").lower() in _HUB_HOSTS:
        return url.path
    if not environ.get("HF_ENDPOINT"):
        return None
    endpoint = urlsplit(endpoint_of(environ))
    if origin_of(url) != origin_of(endpoint) or not url.path.startswith(endpoint.path + "/"):
        return None
    return url.path.removeprefix(endpoint.path)


def _parse_web_path(reference: str, path: str) -> HubSource:
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if len(parts) <= 2 or parts[0] in _NOT_MODELS:
        return _source(reference, parts)
    view, revision, below = parts[2], parts[3] if len(parts) > 3 else "", parts[4:]
    if view == "tree" and revision and not below:
        return _source(reference, parts[:2], revision)
    if view in ("resolve", "blob") and revision and below:
        return _source(reference, parts[:2], revision, "/".join(below))
    raise _wrong(reference, "it is no address of a model's repository, of a revision or of a file")


def _source(
    reference: str, parts: list[str], revision: str | None = None, file: str | None = None
) -> HubSource:
    if parts[0] in _NOT_MODELS and len(parts) > 1:
        raise _wrong(reference, f"{parts[0]!r} are no models")
    if len(parts) != 2:
        raise _wrong(reference, "it has no organisation and name")
    for part in parts:
        if not _PART.fullmatch(part) or "--" in part or ".." in part or part.endswith(".git"):
            raise _wrong(reference, f"{part!r} can't be a name on the Hub")
    if revision is not None:
        _check_revision(revision, reference)
    return HubSource(parts[0], parts[1], revision, file)


def _check_revision(revision: str, reference: str) -> None:
    if not _REVISION.fullmatch(revision) or ".." in revision or "//" in revision:
        raise _wrong(reference, f"{revision!r} can't be a revision")


def _wrong(reference: str, problem: str) -> SourceNameError:
    return SourceNameError(
        f"{hide_secrets(reference)!r} is no model on the Hugging Face Hub: {problem}",
        hint=f"write {EXAMPLES}",
    )


def _one_file(file: str, choice: Choice, reference: str) -> Choice:
    if choice:
        raise SourceNameError(
            "include and exclude patterns can't be given with the address of one file",
            where=reference,
            hint="write hf://org/name and a pattern, or the file's address alone",
        )
    # fnmatch's own characters are taken literally in brackets.
    return Choice(include=(re.sub(r"([*?\[])", r"[\1]", file),))


def _resolve(
    source: HubSource, choice: Choice, endpoint: str, environ: Mapping[str, str]
) -> Resolved:
    from gswarm_tui.sources.hub_errors import explained

    token = token_of(environ)
    with explained(source.reference, endpoint, has_token=token is not None):
        info = _ask(source, endpoint, token)
        commit = _commit(info, endpoint, source)
        siblings = {sibling.rfilename: sibling for sibling in info.siblings or ()}
        if len(siblings) >= _LONGEST_LISTING:
            raise SourceError(
                f"it has {len(siblings)} files or more, too many for the Hub to list them all",
                where=source.reference,
            )
        wanted = choice.apply(siblings, where=source.reference)
        base = f"{endpoint}/{source.repository}/resolve/{commit}"
        files = tuple(_file(siblings[path], base, source) for path in wanted)
        if info.gated or info.private:
            _try_access(files[0], endpoint, token)
    return Resolved(
        reference=source.reference,
        kind="fetch",
        name=suggest_name(source.name),
        revision=_revision_of(commit, wanted, siblings),
        files=files,
        headers={"Authorization": f"Bearer {token}"} if token else {},
        origin=origin_of(urlsplit(endpoint)),
    )


def _ask(source: HubSource, endpoint: str, token: str | None) -> ModelInfo:
    from huggingface_hub import HfApi

    # model_info and not list_repo_tree: one request, so that commit and files belong together; and
    # it does not wait silently for minutes when the Hub answers 429.
    api = HfApi(endpoint=endpoint, token=token or False, library_name="gswarm")
    revision = source.revision or "main"
    try:
        return api.model_info(
            source.repository, revision=revision, files_metadata=True, timeout=TIMEOUT_S
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_hub(endpoint, f"{type(error).__name__}: {error}", source) from error


def _commit(info: ModelInfo, endpoint: str, source: HubSource) -> str:
    if info.sha and re.fullmatch(r"[0-9a-f]{40}", info.sha):
        return info.sha
    raise _no_hub(endpoint, f"its commit is {info.sha!r:.100}", source)


def _revision_of(commit: str, wanted: Sequence[str], everything: Collection[str]) -> str:
    """The commit; with a suffix for a part of its files: a revision names one set of files."""
    if len(wanted) == len(everything):
        return commit
    return f"{commit}-{hashlib.sha256(chr(10).join(wanted).encode()).hexdigest()[:8]}"


def _no_hub(endpoint: str, reason: str, source: HubSource) -> SourceError:
    return SourceError(
        f"what {endpoint} answers is not a hub's answer ({reason:.200})",
        where=source.reference,
        hint="check that $HF_ENDPOINT speaks the Hugging Face Hub's API",
    )


def _file(sibling: RepoSibling, base: str, source: HubSource) -> SourceFile:
    lfs: Any = sibling.lfs
    sha256 = lfs.sha256 if lfs else None
    size = lfs.size if lfs else sibling.size
    git_sha1 = None if lfs else sibling.blob_id
    if not isinstance(size, int) or size < 0:
        raise SourceError(f"the hub gave no size for {sibling.rfilename!r}", where=source.reference)
    for digest, length in ((sha256, 64), (git_sha1, 40)):
        if digest is not None and not re.fullmatch(f"[0-9a-f]{{{length}}}", str(digest)):
            raise SourceError(
                f"the hub gave no checksum for {sibling.rfilename!r} but {digest!r:.100}",
                where=source.reference,
            )
    url = f"{base}/{quote(sibling.rfilename)}"
    return SourceFile(sibling.rfilename, size=size, sha256=sha256, git_sha1=git_sha1, url=url)


def _try_access(file: SourceFile, endpoint: str, token: str | None) -> None:
    """Ask for a file's headers: a gated repository lists to everyone what it gives to few."""
    from huggingface_hub import get_hf_file_metadata

    assert file.url is not None
    get_hf_file_metadata(file.url, token=token or False, timeout=TIMEOUT_S, endpoint=endpoint)
