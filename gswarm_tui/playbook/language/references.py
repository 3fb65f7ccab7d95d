"""What actions say of each other: expressions and dependencies, looked at before any value is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, final

from gswarm_tui.nearest import did_you_mean, nearest
from gswarm_tui.playbook.actions import TYPES, Written
from gswarm_tui.playbook.language import conditions, foreach, variables
from gswarm_tui.playbook.language.expressions import (
    EACH,
    ENV,
    OWNERS,
    SECRETS,
    VARS,
    ExpressionError,
    Path,
    Reference,
    expressions,
    texts,
)
from gswarm_tui.playbook.language.lookup import field_type
from gswarm_tui.playbook.language.problems import MAX_SHOWN, Problems
from gswarm_tui.playbook.language.scope import Source

_KNOWN_TYPES: Final = f"the types are {', '.join(TYPES)}"
_ACTION_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_MAX_ID = 200
_ONE_OF = re.compile(r"([A-Za-z0-9_-]+)\[.*\$\{\s*each\..*\]")
_COMPARED: Final = "`${vars.engine} == vllm`"


@final
class References:
    """The actions of a playbook by their ids, and which needs which.

    Args:
        sources: the actions as they are written.
        problems: where all that is wrong goes.
    """

    def __init__(self, sources: tuple[Source, ...], problems: Problems) -> None:
        self._problems = problems
        self.sources: dict[str, Source] = {}
        """By the id in the whole playbook."""
        self.in_doubt: set[str] = set()
        """Actions with a problem that keeps them from being built."""
        for source in sources:
            self._read_id(source)
        self.refers_to = {name: frozenset(self._references(name)) for name in self.sources}
        """The actions that expressions refer to."""
        self.items: dict[str, dict[str, list[int]]] = {}
        """Where an action needs, of what a `for_each` made of others, only one: the others, and
        which of its dependencies say so."""
        self.needs: dict[str, list[str]] = {}
        """Those, and the dependencies before them."""
        for name in self.sources:
            whole = [*self._dependencies(name), *sorted(self.refers_to[name])]
            items = self._item_dependencies(name)
            self.needs[name] = list(dict.fromkeys([*whole, *items]))
            self.items[name] = {n: where for n, where in items.items() if n not in whole}

    def type(self, name: str) -> str | None:
        """The word for an action's type, where both are there."""
        word = self.sources[name].raw.get("action_type") if name in self.sources else None
        return word if isinstance(word, str) and word in TYPES else None

    def _read_id(self, source: Source) -> None:
        name = source.raw.get("action_id")
        document, path = source.document, (*source.path, "action_id")
        if name is None:
            hint = _called_otherwise(source.raw, "action_id")
            self._problems.add(document, source.path, "`action_id` is missing", hint=hint)
            return
        if not isinstance(name, str) or not _ACTION_ID.fullmatch(name) or name in OWNERS:
            found = f"{name!r:.80}"
            if isinstance(name, bool):
                found = f"`{document.values[path].plain}`, true or false in YAML,"
            message = f"{found} cannot be an action_id"
            hint = f"letters, digits, `_` and `-`, at most 64, and none of {', '.join(OWNERS)}"
            if isinstance(name, int):
                hint = "put it in quotes to make it text"
            self._problems.add(document, path, message, hint=hint)
            return
        name = source.scope.prefix + name
        if len(name) > _MAX_ID:
            message = f"`{name:.80}…` is longer than {_MAX_ID} characters, with what includes it"
            self._problems.add(document, path, message)
        elif name in self.sources:
            first = self.sources[name].document.position(self.sources[name].path)
            line = first.removeprefix(f"{document.name}:").split(":")[0]
            at = first if not line.isdigit() else f"line {line}"
            self._problems.add(
                document, path, f"the action_id `{name}` is there twice, first on {at}"
            )
        else:
            self.sources[name] = source
            self._check_type(name)

    def _check_type(self, name: str) -> None:
        word = self.sources[name].raw.get("action_type")
        if word is None:
            hint = _called_otherwise(self.sources[name].raw, "action_type") or _KNOWN_TYPES
            self._add(name, (), f"`action_type` of `{name}` is missing", hint=hint)
        elif not isinstance(word, str) or word not in TYPES:
            meant = did_you_mean(word, TYPES) if isinstance(word, str) else ""
            message = f"unknown action type `{word}`{meant}"
            self._add(name, ("action_type",), message, hint=_KNOWN_TYPES)

    def _add(self, name: str, path: Path, message: str, *, hint: str | None = None) -> None:
        """Note a problem within an action that keeps it from being built."""
        self.in_doubt.add(name)
        source = self.sources[name]
        self._problems.add(source.document, (*source.path, *path), message, hint=hint)

    def _nearest(self, word: str, known: Mapping[str, Any]) -> str:
        # Looking through thousands of ids for each of thousands of problems would take minutes.
        if len(self._problems) > MAX_SHOWN:
            return ""
        included = [name for name in known if name.endswith(f"-{word}")]
        return did_you_mean(included[0] if len(included) == 1 else word, known)

    def _local(self, scope_of: Source) -> Mapping[str, Source]:
        """The actions as the file of one of them calls them."""
        prefix = scope_of.scope.prefix
        if not prefix:
            return self.sources
        return {
            name.removeprefix(prefix): source
            for name, source in self.sources.items()
            if name.startswith(prefix)
        }

    def _references(self, name: str) -> Iterator[str]:
        """The actions that the expressions of an action refer to."""
        source = self.sources[name]
        for path, text in texts(source.raw):
            try:
                found = expressions(text)
            except ExpressionError as error:
                self._add(name, path, error.message, hint=error.hint)
                continue
            for reference in found:
                try:
                    self._check_reference(reference, source, path)
                    if reference.is_output:
                        yield source.scope.prefix + reference.owner
                except ExpressionError as error:
                    self._add(name, path, error.message, hint=error.hint)
        for key, check in (("for_each", foreach.check), ("when", self._check_condition)):
            if source.raw.get(key) is not None:
                try:
                    check(source.raw[key], source)
                except foreach.ForEachError as error:
                    self._add(name, (key, *error.path), error.message, hint=error.hint)
                except ExpressionError as error:
                    self._add(name, (key,), error.message, hint=error.hint)

    def _check_reference(self, reference: Reference, source: Source, path: Path) -> None:
        if reference.is_output:
            self._check_output(reference, source)
        elif reference.owner == VARS:
            variables.check(reference, source.scope.variables)
        elif reference.owner == ENV:
            source.scope.reader.env(reference.field)
        elif reference.owner == EACH:
            foreach.check_each(reference, source)
        elif reference.owner == SECRETS:
            self._check_secret(reference, source, str(path[0]))

    def _check_output(self, reference: Reference, source: Source) -> None:
        owner = source.scope.prefix + reference.owner
        if owner not in self.sources:
            meant = self._nearest(reference.owner, self._local(source))
            if not meant and (word := nearest(reference.owner, OWNERS[::-1], cutoff=0.75)):
                meant = f"; did you mean ${{{word}.{reference.field}}}?"
            raise ExpressionError(f"{reference}: there is no action `{reference.owner}`{meant}")
        self._check_always(owner, source)
        word = self.type(owner)
        if word is None:
            return
        fields = TYPES[word].fields()
        if reference.field not in fields:
            meant = did_you_mean(reference.field, fields)
            returns = ", ".join(fields)
            raise ExpressionError(
                f"{reference}: {word} returns no `{reference.field}`{meant}",
                hint=f"it returns {returns}" if fields else f"{word} returns nothing",
            )

    def _check_always(self, needed: str, source: Source) -> None:
        if self.sources[needed].always and not source.always:
            raise ExpressionError(
                f"`{needed}` is one of `always`, which run after all others: nothing else needs it"
            )

    def _check_secret(self, reference: Reference, source: Source, key: str) -> None:
        secrets = source.scope.secrets
        if reference.field not in secrets:
            meant = did_you_mean(reference.field, secrets)
            hint = None if meant else f"declare it: `secrets: {{{reference.field}: {{env: …}}}}`"
            raise ExpressionError(f"there is no secret `{reference.field}`{meant}", hint=hint)
        word = source.raw.get("action_type")
        if not isinstance(word, str) or word not in TYPES:
            return  # which is a problem of its own
        if key in TYPES[word].written.takes_secrets:
            return
        places = [
            f"`{field}` of {name}"
            for name, action_type in TYPES.items()
            for field in sorted(action_type.written.takes_secrets)
        ]
        raise ExpressionError(
            f"{reference} cannot be in `{key}` of {word}, where it would be seen",
            hint=f"secrets can be in {', '.join(places)}",
        )

    def _check_condition(self, written: Any, source: Source) -> None:
        if not isinstance(written, bool | str):
            return  # which is found when it is built
        condition = conditions.read(written)
        if condition.operator in ("==", "!=") and "${" not in str(written):
            raise ExpressionError(
                "nothing on either side can change", hint=f"a value is in `${{…}}`: {_COMPARED}"
            )
        if condition.operator not in ("is", "not"):
            return
        for reference in expressions(condition.left):
            word = self.type(source.scope.prefix + reference.owner) if reference.is_output else None
            is_known = word is not None and reference.field in TYPES[word].fields()
            if word is not None and is_known and field_type(word, reference.field) is not bool:
                raise ExpressionError(
                    f"{reference} is not true or false, which `when` needs",
                    hint=f"compare it: `{reference} == …`",
                )

    def _dependencies(self, name: str) -> Iterator[str]:
        source = self.sources[name]
        written = source.raw.get("dependencies")
        if not isinstance(written, list):
            return  # none, or of a wrong shape, which is found when it is built
        for index, needed in enumerate(written):
            if not isinstance(needed, str) or _ONE_OF.fullmatch(needed):
                continue
            path = ("dependencies", index)
            full = source.scope.prefix + needed
            if full in self.sources:
                try:
                    self._check_always(full, source)
                    yield full
                except ExpressionError as error:
                    self._add(name, path, error.message)
            elif "${" in needed:
                hint = (
                    "an action depends by itself on every action that it refers to; on the one of"
                    " the same item it depends as `id[${each.value}]`"
                )
                self._add(
                    name, path, "a dependency is an action's id, not an expression", hint=hint
                )
            else:
                meant = self._nearest(needed, self._local(source))
                message = f"there is no action `{needed}` to depend on{meant}"
                whole = needed.split("[")[0]
                made = "[" in needed and source.scope.prefix + whole in self.sources
                all_of_it = None
                if made:
                    all_of_it = (
                        f"`{whole}` is all that its `for_each` makes,"
                        f" `{whole}[${{each.value}}]` the one of the same item"
                    )
                self._problems.add(source.document, (*source.path, *path), message, hint=all_of_it)

    def _item_dependencies(self, name: str) -> dict[str, list[int]]:
        """The actions of which only one item is needed, ``fetch[${each.value}]``."""
        source, found = self.sources[name], dict[str, list[int]]()
        written = source.raw.get("dependencies")
        for index, needed in enumerate(written if isinstance(written, list) else ()):
            one = _ONE_OF.fullmatch(needed) if isinstance(needed, str) else None
            if one is None:
                continue
            full = source.scope.prefix + one[1]
            try:
                if full not in self.sources:
                    meant = self._nearest(one[1], self._local(source))
                    message = f"there is no action `{one[1]}` to depend on{meant}"
                    raise ExpressionError(message)
                self._check_always(full, source)
                if self.sources[full].raw.get("for_each") is None:
                    message = f"`{one[1]}` has no `for_each`, and is one action"
                    raise ExpressionError(message, hint=f"write `{one[1]}`")
                found.setdefault(full, []).append(index)
            except ExpressionError as error:
                self._add(name, ("dependencies", index), error.message, hint=error.hint)
        return found


def _called_otherwise(raw: Mapping[str, Any], key: str) -> str | None:
    """What tells that a key has another name elsewhere, or that this is no action at all."""
    if "include" in raw:
        return "other playbooks stand in a list `include`, beside `actions`"
    if key == "action_type" and (words := [word for word in raw if word in TYPES]):
        return f"write `action_type: {words[0]}`, and its keys beside it"
    others = [
        word for word in raw if word not in Written.model_fields and nearest(word, [key]) == key
    ]
    return f"`{others[0]}` is called `{key}` here" if others else None
