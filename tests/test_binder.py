"""Binder: what repo2docker makes of this repository, and that it opens the tour."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BINDER = ROOT / "binder"
TOUR = "notebooks/08-the-panel.ipynb"


@pytest.fixture(scope="module")
def dockerfile(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What repo2docker would build. It needs no Docker for that."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(BINDER, folder / "binder")
    shutil.copy(ROOT / "pyproject.toml", folder)
    command = [Path(sys.executable).parent / "jupyter-repo2docker", "--no-build", "--debug", "--user-id=1000"]
    answer = subprocess.run(
        [*command, "--user-name=someone", "."], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout + answer.stderr


def test_it_installs_the_package_after_the_repository_is_there(dockerfile: str) -> None:
    assert dockerfile.index("COPY --chown=1000:1000 src/ ") < dockerfile.index(
        'pip install --no-cache-dir -r "binder/requi'
    )


def test_it_prepares_the_tour_and_starts_through_our_script(dockerfile: str) -> None:
    assert "RUN ./binder/postBuild" in dockerfile
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in dockerfile


def test_its_python_is_one_that_we_support(dockerfile: str) -> None:
    version = (BINDER / "runtime.txt").read_text().strip().removeprefix("python-")
    assert f"python={version}" in dockerfile
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    assert f"Programming Language :: Python :: {version}" in classifiers


def test_the_tour_that_opens_is_there(tmp_path: Path) -> None:
    """The script of the build, with the commands of this environment, in a home of its own."""
    environment = {
        "HOME": str(tmp_path),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "NBFLOW_HOME": str(tmp_path / "home"),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    }
    built = subprocess.run(
        [BINDER / "postBuild"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    asked = subprocess.run(
        [BINDER / "start", "jupyter", "lab", "--show-config-json"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert f'"default_url": "/lab/tree/{TOUR}"' in asked.stdout, asked.stderr
    assert (ROOT / TOUR).exists()


def test_the_start_script_runs_what_it_is_given_with_a_home_for_runs(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    asked = subprocess.run(
        [BINDER / "start", "printenv", "NBFLOW_HOME"], env=environment, capture_output=True, text=True, check=False
    )
    assert asked.stdout.strip() == str(tmp_path / ".local/share/nbflow")
