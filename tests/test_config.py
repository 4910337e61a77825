"""Configuration from files and the environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nbflow.config import load_config, to_environment
from nbflow.errors import ConfigError


def test_the_environment_wins_over_the_nearest_file(tmp_path: Path) -> None:
    (tmp_path / "nbflow.toml").write_text('home = "data"\nslots = 3\ngrace = 2.5\npreload = ["pandas"]\n')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    config = load_config({"NBFLOW_SLOTS": "7"}, inner)
    assert (config.home, config.slots, config.grace, config.preload) == (tmp_path / "data", 7, 2.5, ("pandas",))
    assert config.source == tmp_path / "nbflow.toml"


def test_a_table_in_pyproject_is_found_and_somebody_elses_is_not(tmp_path: Path) -> None:
    inner = tmp_path / "package"
    inner.mkdir()
    (tmp_path / "pyproject.toml").write_text("[tool.nbflow]\nfork_server = false\n")
    (inner / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert load_config({}, inner).fork_server is False
    (inner / "pyproject.toml").write_text("this is [not toml")
    assert load_config({}, inner).fork_server is False


def test_the_home_is_in_jupyters_data_directory(tmp_path: Path) -> None:
    assert load_config({"JUPYTER_DATA_DIR": str(tmp_path / "j")}, tmp_path).home == tmp_path / "j" / "nbflow"
    import os

    from jupyter_core.paths import jupyter_data_dir

    assert load_config(dict(os.environ) | {"NBFLOW_HOME": ""}, tmp_path).home == Path(jupyter_data_dir()) / "nbflow"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slotz = 3", "unknown setting 'slotz'"),
        ("slots = 0", "slots = 0: expected a whole number, 1 or more"),
        ("slots = true", "slots = True: expected a whole number"),
        ("grace = -1", "grace = -1: expected seconds, 0 or more"),
        ('preload = "a" \nlease = nan', "lease = nan: expected seconds"),
        ("home = 3", "home = 3: expected a text"),
        ("= 3", "can't be read as TOML"),
    ],
)
def test_a_bad_setting_names_the_file_the_value_and_the_rule(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "nbflow.toml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        load_config({}, tmp_path)
    assert str(tmp_path / "nbflow.toml") in str(caught.value)


def test_a_bad_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="NBFLOW_FORK_SERVER = 'maybe': expected true or false"):
        load_config({"NBFLOW_FORK_SERVER": "maybe"}, tmp_path)
    with pytest.raises(ConfigError, match=r"NBFLOW_CONFIG = .*: no such file"):
        load_config({"NBFLOW_CONFIG": "missing.toml"}, tmp_path)


def test_a_process_that_is_started_finds_the_same_store(tmp_path: Path) -> None:
    config = load_config({"NBFLOW_HOME": str(tmp_path / "h"), "NBFLOW_PRELOAD": "pandas, numpy"}, tmp_path)
    again = load_config(to_environment(config), Path("/"))
    assert again == config
