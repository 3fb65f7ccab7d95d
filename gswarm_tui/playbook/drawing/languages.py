"""Steps in the languages of other programs that draw: Mermaid and Graphviz's dot."""

from __future__ import annotations

from collections.abc import Sequence

from gswarm_tui.playbook.drawing.steps import Step
from gswarm_tui.wording import clean


def mermaid(title: str, steps: Sequence[Step]) -> str:
    """A flowchart of https://mermaid.js.org/syntax/flowchart.html.

    An action's id may be a word of that language (``end``), so that nodes are numbered.
    """
    numbers = {step.id: f"n{index}" for index, step in enumerate(steps)}
    lines = ["---", f"title: {_quoted(title)}", "---", "flowchart TD"]
    for step in steps:
        opening, closing = ("([", "])") if step.always else ("[", "]")
        label = "<br/>".join(_mermaid_text(text) for text in _lines(step))
        lines.append(f'  {numbers[step.id]}{opening}"{label}"{closing}')
    lines += [
        f"  {numbers[needed]} --> {numbers[step.id]}" for step in steps for needed in step.needs
    ]
    return "\n".join([*lines, ""])


def dot(title: str, steps: Sequence[Step]) -> str:
    """A graph of https://graphviz.org/doc/info/lang.html."""
    lines = [f"digraph {_quoted(title)} {{", '  node [shape=box, fontname="monospace"]']
    for step in steps:
        label = "\\n".join(_escaped(text) for text in _lines(step))
        style = ", style=rounded" if step.always else ""
        lines.append(f'  {_quoted(step.id)} [label="{label}"{style}]')
    lines += [
        f"  {_quoted(needed)} -> {_quoted(step.id)}" for step in steps for needed in step.needs
    ]
    return "\n".join([*lines, "}", ""])


def _lines(step: Step) -> list[str]:
    return [step.id, ", ".join([step.type, *step.notes]), step.summary]


def _mermaid_text(text: str) -> str:
    """Everything but plain text as its number: quotes, tags and marks of Markdown among it."""
    return "".join(
        character if character.isalnum() or character in " .,:/-_()=" else f"#{ord(character)};"
        for character in clean(text)
    )


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return clean(text).replace("\\", "\\\\").replace('"', '\\"')
