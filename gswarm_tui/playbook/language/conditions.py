"""``when``: whether an action is done at all.

A condition is a boolean, an expression that is one, ``A == B``, ``A != B`` or ``not A``. A and B
are texts with or without expressions in them. There is nothing more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from gswarm_tui.playbook.language.expressions import (
    ExpressionError,
    Lookup,
    Reference,
    as_text,
    parse,
    substitute,
)

FORMS: Final = "write true, false, one expression, `A == B`, `A != B` or `not A`"

_EXPRESSION = re.compile(r"\$\$?\{[^}]*\}")
_QUOTED_SIDE = re.compile(r"(?:^|(?<=[\s=]))(?:'[^']*'|\"[^\"]*\")(?=[\s=!]|$)")
_OPERATOR = re.compile(r"\s*(==|!=)\s*")
_FOREIGN = re.compile(
    r"(?:^|\s)(and|or|not|in|is|&&|\|\||<=?|>=?|=~?|matches|contains|if|else)(?=\s|$)"
)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was read; ``right`` is empty but for the two comparisons."""

    operator: Literal["is", "not", "==", "!="]
    left: str
    right: str = ""

    def holds(self, lookup: Lookup) -> bool:
        """Whether it is true.

        Raises:
            ExpressionError: a value is no boolean, or cannot be compared as text.
        """
        if self.operator in ("is", "not"):
            return _boolean(self.left, lookup) == (self.operator == "is")
        equal = _text(self.left, lookup) == _text(self.right, lookup)
        return equal == (self.operator == "==")


def read(written: bool | str) -> Condition:
    """Read a condition.

    Raises:
        ExpressionError: it is none.
    """
    if isinstance(written, bool):
        return Condition("is", "true" if written else "false")
    text = written.strip()
    # Operators within an expression or in quotes are none: they are hidden while the text is cut.
    hidden = _hide(_QUOTED_SIDE, _hide(_EXPRESSION, text))
    operators = list(_OPERATOR.finditer(hidden))
    if len(operators) > 1:
        raise ExpressionError(f"`{text}` compares more than once", hint=FORMS)
    if operators:
        (found,) = operators
        left, right = text[: found.start()], text[found.end() :]
        return Condition("==" if found[1] == "==" else "!=", _operand(left), _operand(right))
    negated = hidden.startswith("not ")
    left = text[4:].strip() if negated else text
    _check_boolean(left, text)
    return Condition("not" if negated else "is", left)


def _hide(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: "\0" * len(match[0]), text)


def _operand(text: str) -> str:
    """One side of a comparison, without the quotes around it."""
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        return quoted[1] if quoted[1] is not None else quoted[2]
    foreign = _FOREIGN.search(_EXPRESSION.sub("\0", text))
    if foreign is not None:
        hint = f"{FORMS}; a text with `{foreign[1]}` in it goes in quotes"
        raise ExpressionError(f"a condition knows no `{foreign[1]}`", hint=hint)
    if not text:
        raise ExpressionError("one side of the comparison is empty", hint="an empty text is ''")
    return text


def _check_boolean(text: str, whole: str) -> None:
    if text in ("true", "false"):
        return
    parts = parse(text)
    if len(parts) != 1 or not isinstance(parts[0], Reference):
        foreign = _FOREIGN.search(_EXPRESSION.sub("\0", text))
        what = (
            f"a condition knows no `{foreign[1]}`" if foreign else f"{whole!r:.80} is no condition"
        )
        raise ExpressionError(what, hint=FORMS)


def _boolean(text: str, lookup: Lookup) -> bool:
    value: Any = substitute(text, lookup)
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise ExpressionError(
        f"{text} is {value!r:.60}, and `when` needs true or false",
        hint=f"compare it: `{text} == …`",
    )


def _text(text: str, lookup: Lookup) -> str:
    """A side as text; nothing is an empty one."""
    parts = []
    for part in parse(text):
        if isinstance(part, str):
            parts.append(part)
        else:
            value = lookup(part, True)
            parts.append("" if value is None else as_text(part, value))
    return "".join(parts)
