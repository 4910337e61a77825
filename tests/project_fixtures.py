"""A project of its own for each test, and flows in it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbflow.api.flow import Flow
from nbflow.config import load_config
from nbflow.project import Project

OpenProject = Callable[..., Project]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def open_project(home: Path) -> Iterator[OpenProject]:
    """``open_project(slots=1)``: one more project on the same home, closed when the test ends."""
    opened: list[Project] = []

    def make(**settings: object) -> Project:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("NBFLOW_")}
        environment |= {f"NBFLOW_{key.upper()}": str(value) for key, value in settings.items()}
        project = Project(load_config({**environment, "NBFLOW_HOME": str(home)}, home.parent))
        opened.append(project)
        return project

    yield make
    for project in opened:
        project.close()


@pytest.fixture
def project(open_project: OpenProject) -> Project:
    return open_project(grace=2)


@pytest.fixture
def flow(project: Project) -> Callable[[Path], Flow]:
    """``flow(path)``: the flow of a notebook, in the test's own project."""

    def load(path: Path) -> Flow:
        return Flow(project.load(path), project)

    return load


def wait_until(holds: Callable[[], object], seconds: float = 20.0, what: str = "what is waited for") -> None:
    """Until *holds* is true; fails after that many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        threading.Event().wait(0.02)
