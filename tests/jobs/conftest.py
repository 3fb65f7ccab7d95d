"""The fleet, the plans and the `Models` in memory that tests of playbooks have too."""

from __future__ import annotations

import pytest

from gswarm_tui.models import Models
from gswarm_tui.state.database import Database
from tests.playbook.conftest import (  # noqa: F401 - fixtures
    MakePlan,
    database,
    fake,
    graph_run,
    inventory,
    jobs,
    make_plan,
    models,
)

from .runs import Runs


@pytest.fixture
def run(make_plan: MakePlan, models: Models, database: Database) -> Runs:  # noqa: F811
    return Runs(make_plan, models, database)
