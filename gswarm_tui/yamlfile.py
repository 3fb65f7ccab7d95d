"""Reads YAML and keeps the position of every key and value.

`load_yaml` reads one document into plain dicts, lists, str, int, float, bool and None, and keeps
the line and column of each key and value. `gswarm_tui.yamlerrors` validates it with a pydantic
model and reports errors at these positions.

The dialect is YAML 1.1 as PyYAML reads it, without its surprises: keys are always strings (``no:``
and ``1:`` are the keys ``no`` and ``1``), ``12:30`` and ``2026-01-31`` are strings, ``022`` is not
octal. Refused: duplicate keys, tags (``!x``), several documents in a file, nesting deeper than
`MAX_DEPTH`, and aliases that expand to more than `MAX_REPEATED` values ("billion laughs").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gswarm_tui.errors import UsageError
from gswarm_tui.yamlproblems import Mark, YamlProblem, mark_of, syntax_problem

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64
MAX_REPEATED = 100_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"yes|Yes|YES|true|True|TRUE|on|On|ON")
_FALSE = re.compile(r"no|No|NO|false|False|FALSE|off|Off|OFF")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """One YAML document: its data, and where each part of it stands.

    Args:
        data: dicts with str keys, lists, str, int, float, bool, None.
        name: what errors call the file.
        values: where each value begins, by its path from the root: ``("nodes", "node1", "port")``.
        keys: where each key of a mapping stands, by the path of its value.
        text: what it was read from.
    """

    data: Any
    name: str
    values: Mapping[Location, Mark] = field(repr=False)
    keys: Mapping[Location, Mark] = field(repr=False)
    text: str = field(default="", repr=False)

    def resolve(self, loc: Sequence[str | int]) -> Location:
        """The longest path in the data along ``loc``, leaving out the parts that are not there.

        pydantic puts tags of unions and names of missing keys into its locations.
        """
        return _longest_path(self.data, tuple(loc))

    def value(self, path: Location) -> Any:
        """The value at a path that `resolve` gave."""
        value = self.data
        for part in path:
            value = value[part]
        return value

    def part(self, path: Location) -> Document:
        """What is at a path as a document of its own, with its places in the file."""
        data = self.value(path)
        inside = list(_paths(data, ()))
        values = {at: self.values[(*path, *at)] for at in inside}
        keys = {at: self.keys[(*path, *at)] for at in inside if (*path, *at) in self.keys}
        return Document(data, self.name, values, keys)

    def position(self, loc: Sequence[str | int]) -> str:
        """``file:line:column`` of the value at ``loc``, or of what is nearest above it."""
        return self._at(self.values[self.resolve(loc)])

    def key_position(self, loc: Sequence[str | int]) -> str:
        """``file:line:column`` of the key of ``loc``; of the value where there is no key."""
        path = self.resolve(loc)
        return self._at(self.keys.get(path, self.values[path]))

    def _at(self, mark: Mark) -> str:
        return f"{self.name}:{mark.line}:{mark.column}"


def load_yaml(
    source: Path | str, *, name: str | None = None, error_class: type[UsageError] = UsageError
) -> Document:
    """Read one YAML document.

    Args:
        source: a file, or the text itself where it is a str.
        name: what errors call it; the path by default.
        error_class: what is raised.

    Raises:
        UsageError: (as ``error_class``) the file cannot be read, or is not YAML as above.
    """
    if isinstance(source, Path):
        name = name or str(source)
        text = _read(source, name, error_class)
    else:
        name, text = name or "<text>", source
    try:
        root = _Composer(text).document()
        builder = _Builder()
        data = builder.build(root, ())
    except YamlProblem as problem:
        where = f"{name}:{problem.mark.line}:{problem.mark.column}"
        raise error_class(problem.message, where=where, hint=problem.hint) from None
    return Document(data, name, values=builder.values, keys=builder.keys, text=text)


def _read(path: Path, name: str, error_class: type[UsageError]) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise error_class(f"cannot be read: {reason}", where=name) from None
    if len(data) > MAX_BYTES:
        raise error_class(f"is larger than {MAX_BYTES // 2**20} MiB", where=name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise error_class("is not UTF-8 text here", where=f"{name}:{line}:{column}") from None


def _paths(data: Any, path: Location) -> Iterator[Location]:
    """The paths of a value and of all that is in it."""
    yield path
    if isinstance(data, dict | list):
        for key, item in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _paths(item, (*path, key))


def _longest_path(data: Any, loc: Location) -> Location:
    for index, part in enumerate(loc):
        if isinstance(data, dict):
            present = part in data
        else:
            present = isinstance(data, list) and isinstance(part, int) and 0 <= part < len(data)
        if present:
            rest = loc[index + 1 :]
            through = (part, *_longest_path(data[part], rest))
            # A union's tag can have the name of a key: leaving it out may lead further.
            around = _longest_path(data, rest)
            return through if len(through) > len(around) else around
    return ()


@dataclass(slots=True)
class _Node:
    """A scalar (``content`` is its value), a list (of nodes) or a mapping (of pairs of nodes)."""

    kind: str
    mark: Mark
    content: Any


_Pairs = dict[str, tuple[_Node, _Node]]


class _Composer:
    """Events to nodes. PyYAML's own composer has no limit of depth: ``[[[[…`` ends the process."""

    def __init__(self, text: str) -> None:
        _check_characters(text)
        self._events = self._parse(text)
        self._anchors: dict[str, _Node] = {}
        self._aliases = 0

    def _parse(self, text: str) -> Iterator[Any]:
        try:
            yield from yaml.parse(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            raise syntax_problem(error, text) from None
        except yaml.reader.ReaderError as error:
            raise YamlProblem(f"not valid YAML: {error.reason}", Mark(1, 1)) from None

    def document(self) -> _Node:
        root: _Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise YamlProblem(
                        "a second document begins here; one is expected", mark_of(event.start_mark)
                    )
                root = self._node(next(self._events), 0)
        return root if root is not None else _Node("scalar", Mark(1, 1, ""), None)

    def _node(self, event: Any, depth: int) -> _Node:
        mark = mark_of(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            self._aliases += 1
            if self._aliases > MAX_REPEATED:
                raise YamlProblem(f"there are more than {MAX_REPEATED} aliases", mark)
            if event.anchor not in self._anchors:
                raise YamlProblem(
                    f"there is no anchor `&{event.anchor}` before this",
                    mark,
                    hint="a text that begins with `*` goes in quotes",
                )
            return self._anchors[event.anchor]
        if depth > MAX_DEPTH:
            raise YamlProblem(f"nested deeper than {MAX_DEPTH} levels", mark)
        node = self._own_node(event, mark, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _own_node(self, event: Any, mark: Mark, depth: int) -> _Node:
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        _check_tag(event, mark)
        children: list[Any] = []
        if isinstance(event, yaml.SequenceStartEvent):
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                children.append(self._node(item, depth + 1))
            return _Node("list", mark, children)
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            children.append((self._node(key, depth + 1), self._node(next(self._events), depth + 1)))
        return _Node("mapping", mark, children)


def _check_characters(text: str) -> None:
    match = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if match is not None:
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - text.rfind("\n", 0, match.start())
        message = f"the character #x{ord(match[0]):04x} is not allowed in YAML"
        raise YamlProblem(message, Mark(line, column))


def _check_tag(event: Any, mark: Mark) -> None:
    tag = event.tag
    if tag is None or tag == "!":
        return
    if tag.startswith("tag:yaml.org,2002:"):
        if tag.rpartition(":")[2] not in ("str", "seq", "map"):
            raise YamlProblem("YAML's own tags (`!!…`) are not used here, but for `!!str`", mark)
        return
    raise YamlProblem(
        f"`{tag}` is a YAML tag here, which gswarm does not use",
        mark,
        hint=f"put a text that begins with `!` in quotes: '{tag}'",
    )


def _scalar(event: Any) -> _Node:
    text: str = event.value
    plain = text if not event.style else None
    mark = mark_of(event.start_mark, plain)
    _check_tag(event, mark)
    if event.tag not in (None, "!"):
        return _Node("scalar", Mark(mark.line, mark.column), text)
    return _Node("scalar", mark, text if plain is None else _typed(plain))


def _typed(text: str) -> str | int | float | bool | None:
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _INT.fullmatch(text) and len(text) < 20:
        return int(text)
    if _HEX.fullmatch(text) and len(text) < 20:
        return int(text, 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


class _Builder:
    """Nodes to data, with a mark for each path; aliases are unfolded within a budget."""

    def __init__(self) -> None:
        self.values: dict[Location, Mark] = {}
        self.keys: dict[Location, Mark] = {}
        self._seen: set[int] = set()
        self._repeated = 0

    def build(self, node: _Node, path: Location) -> Any:
        self._count(node)
        if len(path) > MAX_DEPTH:
            raise YamlProblem(f"aliases nest deeper than {MAX_DEPTH} levels", node.mark)
        self.values[path] = node.mark
        if node.kind == "scalar":
            return node.content
        if node.kind == "list":
            return [self.build(item, (*path, i)) for i, item in enumerate(node.content)]
        mapping = {}
        for name, (key, value) in self._pairs(node).items():
            self.keys[(*path, name)] = key.mark
            mapping[name] = self.build(value, (*path, name))
        return mapping

    def _count(self, node: _Node) -> None:
        if id(node) not in self._seen:
            self._seen.add(id(node))
            return
        self._repeated += 1
        if self._repeated > MAX_REPEATED:
            raise YamlProblem(f"aliases unfold to more than {MAX_REPEATED} values", node.mark)

    def _pairs(self, node: _Node, depth: int = 0) -> _Pairs:
        """The pairs of a mapping by key: its own, and below them those that ``<<`` merges in."""
        own: _Pairs = {}
        merged: _Pairs = {}
        for key, value in node.content:
            if key.kind == "scalar" and key.mark.plain == "<<":
                merged = {**self._merged(key, value, depth + 1), **merged}
                continue
            name = _key_text(key)
            if name in own:
                first = own[name][0].mark.line
                message = f"the key `{name}` is here twice (first on line {first})"
                raise YamlProblem(message, key.mark)
            own[name] = (key, value)
        return {**merged, **own}

    def _merged(self, key: _Node, value: _Node, depth: int) -> _Pairs:
        if depth > MAX_DEPTH:
            raise YamlProblem(f"`<<` nests deeper than {MAX_DEPTH} levels", key.mark)
        pairs: _Pairs = {}
        for source in value.content if value.kind == "list" else [value]:
            if source.kind != "mapping":
                raise YamlProblem("`<<` takes a mapping, or a list of mappings", key.mark)
            self._count(source)
            pairs = {**self._pairs(source, depth), **pairs}
        return pairs


def _key_text(key: _Node) -> str:
    if key.kind != "scalar":
        hint = "a text that begins with `{` or `[` goes in quotes"
        raise YamlProblem(f"a key must be text, not a {key.kind}", key.mark, hint)
    text = key.mark.plain if key.mark.plain is not None else str(key.content)
    if not text:
        raise YamlProblem("a key is empty", key.mark)
    return text
