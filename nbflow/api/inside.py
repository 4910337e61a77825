"""From inside a notebook: which run it is, and what it wants recorded.

Light on purpose: a notebook that says ``import nbflow`` to record a number must not wait for it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nbflow.parameters.values import MASK, loads_exact

if TYPE_CHECKING:
    from nbflow.api.run import Run

RESULT_MIME = "application/vnd.nbflow.result+json"
CONTROL_MIME = "application/vnd.nbflow.control+json"
MAX_RESULT = 1024 * 1024


class CurrentRun:
    """The run that this notebook is executed by. False, with an ``id`` of None, where a person runs the cells."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._context = context
        self.id: str | None = context.get("id")
        self.name: str = context.get("name", "interactive")
        self.flow: str | None = context.get("flow")
        self.attempt: int = context.get("attempt", 1)
        self.parent_id: str | None = context.get("parent_id")
        self.tags: tuple[str, ...] = tuple(context.get("tags", ()))
        self.parameters: dict[str, Any] = dict(context.get("parameters", {}))
        """The values passed to the run, in their JSON form; secrets as ``"********"``."""

    @property
    def parent(self) -> Run | None:
        """The run whose notebook submitted this one; its state, values and results as they are now."""
        if self.parent_id is None:
            return None
        from nbflow.api.run import Run
        from nbflow.api.session import get_project

        project = get_project()
        return Run(project.get_run(self.parent_id), project)

    @cached_property
    def scheduled_time(self) -> datetime | None:
        """When the run was due, where a schedule or a backfill made it."""
        text = self._context.get("scheduled_time")
        return datetime.fromisoformat(text) if text else None

    def rename(self, name: str) -> None:
        """Give the run another name from now on."""
        self.name = str(name)
        self._tell({"action": "rename", "name": self.name})

    def log(self, text: str) -> None:
        """A line in the run's log that is no output of the notebook."""
        self._tell({"action": "log", "text": str(text)})

    def record(self, name: str, value: Any) -> None:
        """See :func:`nbflow.record`."""
        record(name, value)

    def _tell(self, message: dict[str, Any]) -> None:
        if self.id is not None:
            _publish({CONTROL_MIME: message})

    def __bool__(self) -> bool:
        return self.id is not None

    def __repr__(self) -> str:
        return f"<current run {self.name} ({self.id})>" if self else "<no current run: the cells are run by hand>"


def current_run() -> CurrentRun:
    """The run inside which this is called; one that is false in JupyterLab, so that a notebook works in both."""
    path = os.environ.get("NBFLOW_RUN_CONTEXT")
    if path:
        try:
            with open(path, encoding="ascii") as file:
                return CurrentRun(loads_exact(file.read()))
        except (OSError, ValueError):
            pass
    return CurrentRun({})


def find_secrets() -> dict[str, str]:
    """The secrets of the run inside which this is called, as its cells have them."""
    names = [name for name, value in current_run().parameters.items() if value == MASK]
    shell = sys.modules["IPython"].get_ipython() if names and "IPython" in sys.modules else None
    values = shell.user_ns if shell is not None else {}
    return {name: values[name] for name in names if isinstance(values.get(name), str) and values[name]}


def record(name: str, value: Any) -> None:
    """Keep *value* as a result of this run, under *name*: ``run.results[name]`` gives it back.

    JSON values (numpy scalars and dates become such), pandas DataFrames and Series as tables, matplotlib figures and PIL
    images as PNG. At most 1 MiB each. Raises TypeError for anything else and ValueError for what is too large.
    """
    if not isinstance(name, str) or not name or len(name) > 200:
        raise ValueError(f"result name {name!r}: expected 1 to 200 characters")
    stored, shown = _to_result(name, value)
    size = len(json.dumps(stored))
    if size > MAX_RESULT:
        raise ValueError(
            f"result {name!r} has {size:,} bytes; at most {MAX_RESULT:,}: write it to a file and record the path"
        )
    _publish({RESULT_MIME: {"name": name, "value": stored}, "text/plain": shown})


def _to_result(name: str, value: Any) -> tuple[Any, str]:
    kinds = {f"{kind.__module__.split('.', 1)[0]}.{kind.__name__}" for kind in type(value).__mro__}
    if "pandas.DataFrame" in kinds or "pandas.Series" in kinds:
        frame = value if "pandas.DataFrame" in kinds else value.to_frame(value.name or name)
        table = json.loads(_with_text_columns(frame).to_json(orient="table", date_format="iso", index=True))
        return {"$table": table}, f"{name}: table of {frame.shape[0]} rows × {frame.shape[1]} columns"
    if "matplotlib.Figure" in kinds or hasattr(value, "savefig"):
        return {"$image": _to_png(value.savefig)}, f"{name}: figure"
    if "PIL.Image" in kinds:
        return {"$image": _to_png(value.save)}, f"{name}: image"
    plain = _to_json(name, value)
    text = json.dumps(plain, ensure_ascii=False)
    return plain, f"{name} = {text if len(text) <= 200 else text[:199] + '…'}"


def _with_text_columns(frame: Any) -> Any:
    """The table format knows columns by text, and neither a nameless index nor one of several unnamed levels."""
    frame = frame.copy()
    frame.columns = [" ".join(map(str, c)) if isinstance(c, tuple) else str(c) for c in frame.columns]
    return frame


def _to_png(save: Any) -> str:
    import base64
    import io

    buffer = io.BytesIO()
    save(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _to_json(name: str, value: Any) -> Any:
    if (
        isinstance(value, float) and value - value != 0
    ):  # infinite or not a number: the kernel would send it as a string
        return {"$float": repr(float(value))}
    if value is None or (isinstance(value, bool | int | float | str) and type(value).__module__ == "builtins"):
        return value
    if isinstance(value, Mapping):
        return {str(key): _to_json(name, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(name, item) for item in value]
    if type(value).__module__.split(".", 1)[0] in ("numpy", "pandas") and hasattr(value, "isoformat"):
        return value.isoformat()
    if type(value).__module__.split(".", 1)[0] == "numpy" and hasattr(value, "tolist"):
        return _to_json(name, value.tolist())
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(
        f"result {name!r}: a {type(value).__name__} can't be recorded; record JSON values, DataFrames or figures, or a path"
    )


def _publish(bundle: dict[str, Any]) -> None:
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import display
    except ImportError:
        return
    if get_ipython() is not None:
        display(bundle, raw=True)
