"""The extension inside a Jupyter Server that somebody else has started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError

from tests.conftest import notebook_content

pytest_plugins = ["pytest_jupyter.jupyter_server"]


@pytest.fixture
def jp_server_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("NBFLOW_HOME", str(tmp_path / "nbflow-home"))
    return {
        "ServerApp": {"jpserver_extensions": {"nbflow.server": True}, "allow_unauthenticated_access": False},
        "NbflowServer": {"works": False},
    }


@pytest.fixture
def jp_base_url() -> str:
    return "/user/me/"


async def test_it_answers_below_the_base_url_with_the_login_of_the_server(jp_fetch: Any, jp_root_dir: Path) -> None:
    (jp_root_dir / "report.ipynb").write_text(json.dumps(notebook_content(["print(n)"], parameters="n = 1")))
    body = json.dumps({"project": "sales", "path": "report.ipynb"})
    made = await jp_fetch("nbflow", "api", "flows", method="POST", body=body)
    assert made.code == 201
    assert made.headers["Location"] == "/user/me/nbflow/api/flows/sales/report"
    run = await jp_fetch(
        "nbflow", "api", "flows", "sales", "report", "runs", method="POST", body='{"parameters": {"n": 2}}'
    )
    assert json.loads(run.body)["parameters"] == {"n": 2}
    description = json.loads((await jp_fetch("nbflow", "api", "openapi.json")).body)
    assert description["servers"] == [{"url": "/user/me/nbflow/api"}]


async def test_errors_are_told_apart_where_nothing_is_open_to_strangers(jp_fetch: Any) -> None:
    for path, token, status in (("runs", "token wrong", 401), ("nothing", "token wrong", 401)):
        with pytest.raises(HTTPClientError) as refused:
            await jp_fetch("nbflow", "api", path, headers={"Authorization": token})
        assert refused.value.code == status
        assert refused.value.response.headers["Content-Type"] == "application/problem+json"
    with pytest.raises(HTTPClientError) as missing:
        await jp_fetch("nbflow", "api", "runs", "ffff")
    assert missing.value.code == 404


def test_it_is_switched_on_where_it_is_installed() -> None:
    from nbflow.server import _jupyter_server_extension_points

    config = json.loads((Path(__file__).parents[1] / "nbflow" / "server" / "extension.json").read_text())
    (point,) = _jupyter_server_extension_points()
    assert config == {"ServerApp": {"jpserver_extensions": {point["module"]: True}}}
