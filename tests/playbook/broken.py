"""The catalogue of broken playbooks: ``tests/data/playbooks/broken/THEME/NAME.yaml``.

Each begins with comments that say what a user is told: ``line:column: message``, and after it the
hint. What is wrong in another file has that file in front. ``schema: refuses`` stands above where
the JSON Schema finds it as well.
"""

from dataclasses import dataclass
from pathlib import Path

from gswarm_tui.errors import PlaybookError

BROKEN = Path(__file__).parents[1] / "data" / "playbooks" / "broken"
REFUSES = "schema: refuses"


@dataclass(frozen=True, slots=True)
class Case:
    """One broken playbook.

    Args:
        told: the lines that a user reads, without the name of the file itself.
        by_schema: whether the JSON Schema refuses it.
    """

    path: Path
    told: list[str]
    by_schema: bool

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}/{self.path.stem}"


def catalogue() -> list[Case]:
    paths = sorted(BROKEN.glob("*/*.yaml"))
    return [read_case(path) for path in paths if path.parent.name != "parts"]


def read_case(path: Path) -> Case:
    told = []
    for line in path.read_bytes().decode("utf-8-sig", errors="replace").splitlines():
        if not line.startswith("# "):
            break
        told.append(line.removeprefix("# "))
    by_schema = told[:1] == [REFUSES]
    return Case(path, told[1:] if by_schema else told, by_schema)


def told_of(error: PlaybookError, name: str) -> list[str]:
    """What a user reads of an error, as a case has it."""
    text = f"{error}\n  hint: {error.hint}" if error.hint else str(error)
    return [line.removeprefix(f"{name}:") for line in text.split("\n")]
