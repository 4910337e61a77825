"""Flows: a notebook seen as a callable, a path or a registered name ``project/name`` with numbered versions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nbflow.errors import UsageError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowVersion:
    """One immutable version of a registered flow."""

    project: str
    name: str
    number: int
    """From 1, in order of registration."""
    notebook_hash: str
    """Content hash of what would be executed; the notebook itself is in the store under it."""
    schema: Mapping[str, Any]
    """JSON Schema of the parameters at registration."""
    source_path: str
    """Absolute path of the file at registration: drift is told against it, and the kernel's cwd is its folder."""
    registered: datetime

    @property
    def full_name(self) -> str:
        return f"{self.project}/{self.name}"


def check_name(text: str, what: str) -> str:
    """*text* when it can name a project or flow; UsageError otherwise."""
    if not NAME.fullmatch(text):
        raise UsageError(
            f"{what} {text!r}: a name starts with a letter or digit and holds only letters, digits, '.', '_' and '-' (at most 100)"
        )
    return text


def split_name(text: str) -> tuple[str, str]:
    """``(project, name)`` of ``project/name``; UsageError for anything else."""
    project, slash, name = text.partition("/")
    if not slash or "/" in name:
        raise UsageError(f"flow name {text!r}: expected PROJECT/NAME")
    return check_name(project, "project"), check_name(name, "flow name")


def is_flow_name(text: str) -> bool:
    """Whether *text* has the form of a registered name rather than of a path to a notebook."""
    project, slash, name = text.partition("/")
    return bool(slash) and bool(NAME.fullmatch(project)) and bool(NAME.fullmatch(name)) and not name.endswith(".ipynb")
