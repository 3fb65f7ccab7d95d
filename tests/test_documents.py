"""The documents lead where they say."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    missing = [
        target
        for target in targets
        if "://" not in target and not (document.parent / target).exists()
    ]
    assert missing == []


def test_the_readme_leads_to_every_document() -> None:
    readme = (ROOT / "README.md").read_text()
    first = [path.name for path in DOCUMENTS if path.parent.name == "docs"]
    assert first
    assert [name for name in first if f"docs/{name}" not in readme] == []


def python_examples() -> list[tuple[str, str]]:
    return [
        (path.name, code)
        for path in DOCUMENTS
        for code in re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.S)
    ]


@pytest.mark.parametrize(("name", "code"), python_examples(), ids=lambda value: value[:20])
def test_what_examples_import_is_there(name: str, code: str) -> None:
    tree = ast.parse(code, filename=name)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                found = hasattr(module, alias.name)
                assert found or importlib.util.find_spec(f"{node.module}.{alias.name}"), alias.name
