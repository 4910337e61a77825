"""The description of the API, and whether the server keeps to it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import notebook_content
from tests.server_fixtures import TOKEN, ServerProcess, make_server

PARAMETERS = """from datetime import date, datetime
from typing import Annotated, Literal
from nbflow import Range
n: Annotated[int, Range(1, 9)] = 5
day: date = date(2026, 1, 1)
when: datetime = datetime(2026, 1, 1)
region: Literal["EU", "US"] = "EU"
ratio: float = 0.5
names: list[str] = []
maybe: bool | None = None
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of its own: whoever tries everything leaves much behind."""
    server = make_server(tmp_path_factory.mktemp("described"), "--NbflowServer.works=False").start()
    content = json.dumps(notebook_content(["print(n)"], parameters=PARAMETERS)).encode()
    assert server.ask("PUT", "flows/sales/report", content).status == 201
    yield server
    server.stop()


def test_each_flow_has_a_path_with_its_own_types(server: ServerProcess) -> None:
    description = server.get("openapi.json").json
    assert description["openapi"].startswith("3.1")
    operation = description["paths"]["/flows/sales/report/runs"]["post"]
    parameters = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["parameters"]
    assert parameters["properties"]["region"]["enum"] == ["EU", "US"]
    assert parameters["properties"]["day"]["format"] == "date"
    assert parameters["additionalProperties"] is False


def test_every_reference_leads_somewhere_and_every_name_is_given_once(server: ServerProcess) -> None:
    text = server.get("openapi.json").text
    description = json.loads(text)
    for kind, name in re.findall(r'"#/components/(\w+)/(\w+)"', text):
        assert name in description["components"][kind]
    names = [one["operationId"] for path in description["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))


def test_the_server_keeps_to_its_description(server: ServerProcess, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.api}/openapi.json"]
    command += ["--header", f"Authorization: Bearer {TOKEN}", "--checks", "all", "--exclude-path-regex", "events"]
    command += ["--max-examples", "5", "--generation-deterministic", "--no-color"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout[done.stdout.find("= FAILURES =") :][:6000]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None
    assert int(tested[1]) >= 45
