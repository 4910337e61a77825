"""Configuration: a few typed values, made once at the edge.

From low to high: defaults, ``nbflow.toml`` or ``[tool.nbflow]`` of the nearest ``pyproject.toml`` (searched upward from
the working directory), ``NBFLOW_`` variables of the environment.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nbflow.errors import ConfigError
from nbflow.hooks import Hook, read_hook


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of one project. Times are in seconds."""

    home: Path
    """Where the store and the runs' folders are."""
    database: str | None = None
    """A SQLAlchemy URL of Postgres; None: SQLite in ``home``."""
    slots: int = 2
    """How many attempts run at once on this machine."""
    engine: str = "local"
    fork_server: bool = True
    preload: tuple[str, ...] = ()
    """Libraries that the fork server imports beforehand."""
    grace: float = 5.0
    """How long a kernel that is cancelled may clean up."""
    lease: float = 15.0
    """How long an owner that gives no sign of life is believed to be alive."""
    output_limit: int = 10_000_000
    """Characters of printed text that an executed notebook keeps for one cell; the log keeps all."""
    server: str | None = None
    """The address of an nbflow server that everything is asked of; None: the store of this machine."""
    allow_http: bool = False
    """Send token and secrets without encryption to other machines too."""
    hooks: tuple[Hook, ...] = ()
    """What is called when a run changes its state; only from a file."""
    source: Path | None = None
    """The file that the settings came from."""


def _read_bool(value: Any) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    raise ValueError("expected true or false")


def _read_count(value: Any) -> int:
    if isinstance(value, bool) or int(value) != float(value) or int(value) < 1:
        raise ValueError("expected a whole number, 1 or more")
    return int(value)


def _read_seconds(value: Any) -> float:
    if isinstance(value, bool) or not 0 <= float(value) < float("inf"):
        raise ValueError("expected seconds, 0 or more")
    return float(value)


def _read_text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected a text")
    return value


def _read_server(value: Any) -> str:
    """The address of the API, from that of the server, of its pages or of the API itself."""
    from urllib.parse import urlsplit

    parts = urlsplit(_read_text(value))
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("expected an address without a token or password; the token goes into NBFLOW_API_TOKEN")
    if parts.scheme not in ("http", "https") or not parts.hostname or (parts.port or 1) < 1:
        raise ValueError("expected an address such as https://example.org or http://127.0.0.1:8888")
    path = parts.path.rstrip("/").removesuffix("/nbflow/api").removesuffix("/nbflow")
    return f"{parts.scheme}://{parts.netloc}{path}/nbflow/api"


def _read_names(value: Any) -> tuple[str, ...]:
    names = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("expected a list of names")
    return tuple(names)


def _read_hooks(value: Any) -> tuple[Hook, ...]:
    if not isinstance(value, list):
        raise ValueError('expected a list: hooks = ["module:function"], or [[hooks]] tables')
    return tuple(read_hook(each) for each in value)


READERS: Mapping[str, Callable[[Any], Any]] = {
    "home": lambda value: Path(_read_text(value)).expanduser(),
    "database": _read_text,
    "slots": _read_count,
    "engine": _read_text,
    "fork_server": _read_bool,
    "preload": _read_names,
    "grace": _read_seconds,
    "lease": _read_seconds,
    "output_limit": _read_count,
    "server": _read_server,
    "allow_http": _read_bool,
    "hooks": _read_hooks,
}
FILE_ONLY = ("hooks",)
VARIABLES: Mapping[str, str] = {"server": "NBFLOW_API_URL"}
"""Of settings whose variable is not ``NBFLOW_`` and their name."""


def load_config(environ: Mapping[str, str], cwd: Path) -> Config:
    """The settings that hold in *cwd*. Raises ConfigError, which names the file or variable, the rule and the remedy."""
    values: dict[str, Any] = {}
    source = find_config_file(environ, cwd)
    if source is not None:
        for key, value in _read_table(source).items():
            if key not in READERS:
                raise ConfigError(f"{source}: unknown setting {key!r}; known are {', '.join(READERS)}")
            values[key] = _read(key, value, f"{source}: {key}")
        if "home" in values:
            values["home"] = (source.parent / values["home"]).absolute()
    for key in READERS:
        if key in FILE_ONLY:
            continue
        variable = name_variable(key)
        if environ.get(variable):
            values[key] = _read(key, environ[variable], variable)
    values.setdefault("slots", max(os.cpu_count() or 1, 1))
    home = values.pop("home", None) or find_default_home(environ)
    return Config(home=(cwd / home).absolute(), source=source, **values)


def name_variable(key: str) -> str:
    return VARIABLES.get(key, f"NBFLOW_{key.upper()}")


def _read(key: str, value: Any, where: str) -> Any:
    try:
        return READERS[key](value)
    except (ValueError, TypeError, OverflowError) as error:
        shown = "" if key == "server" else f" = {value!r}"  # it may hold a token
        raise ConfigError(f"{where}{shown}: {error}") from None


def find_config_file(environ: Mapping[str, str], cwd: Path) -> Path | None:
    """``NBFLOW_CONFIG``, or the nearest ``nbflow.toml`` or ``pyproject.toml`` with a ``[tool.nbflow]`` table upward."""
    if environ.get("NBFLOW_CONFIG"):
        path = cwd / environ["NBFLOW_CONFIG"]
        if not path.is_file():
            raise ConfigError(f"NBFLOW_CONFIG = {path}: no such file")
        return path
    for folder in (cwd, *cwd.parents):
        if (folder / "nbflow.toml").is_file():
            return folder / "nbflow.toml"
        if (folder / "pyproject.toml").is_file() and _has_table(folder / "pyproject.toml"):
            return folder / "pyproject.toml"
    return None


def _has_table(path: Path) -> bool:
    # Somebody else's pyproject.toml may be broken or unreadable: it is not for us to complain about.
    try:
        return "nbflow" in tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError):
        return False


def _read_table(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: can't be read as TOML: {error}") from None
    table = table["tool"]["nbflow"] if path.name == "pyproject.toml" else table
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: [tool.nbflow] must be a table")
    return table


def find_default_home(environ: Mapping[str, str]) -> Path:
    """``nbflow`` in Jupyter's data directory, found as jupyter_core finds it, without importing it."""
    import platformdirs

    if environ.get("JUPYTER_DATA_DIR"):
        return Path(environ["JUPYTER_DATA_DIR"]) / "nbflow"
    if environ.get("JUPYTER_PLATFORM_DIRS", "").lower() in ("1", "true", "yes", "on", "y"):
        return Path(platformdirs.user_data_dir("jupyter", appauthor=False)) / "nbflow"
    if os.uname().sysname == "Darwin":
        return Path.home() / "Library" / "Jupyter" / "nbflow"
    data = environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "jupyter" / "nbflow"


def to_environment(config: Config) -> dict[str, str]:
    """The variables by which a process started by this one finds the same store."""
    variables = {} if config.source is None else {"NBFLOW_CONFIG": str(config.source)}
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name in READERS and field.name not in FILE_ONLY and value is not None:
            text = " ".join(value) if isinstance(value, tuple) else str(value)
            variables[name_variable(field.name)] = text
    return variables
