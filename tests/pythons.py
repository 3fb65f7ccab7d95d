"""The other Pythons of this machine: pyenv's, and those on PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")


def find(version: str) -> str | None:
    """A Python of that version, ``3.9``, that runs; pyenv's shims lead to versions that do not."""
    candidates = [*map(str, sorted((ROOT / "versions").glob(f"{version}.*/bin/python3")))]
    on_path = shutil.which(f"python{version}")
    for python in [*candidates, *([on_path] if on_path else [])]:
        if subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return python
    return None
