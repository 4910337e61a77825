"""What a server that is the app of one flow offers: its form, and the runs that are made with it; nothing else there is.

A gate before all routes lets through what is listed here, so that whatever else the server has, Jupyter's own contents
and kernels included, is out of reach of whoever was given the app's address, and with it the server's token.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule

from nbflow.lifecycle import RunRecord
from nbflow.server.bodies import RunRequest, StartRequest
from nbflow.server.problems import Problem

READING = ("GET", "HEAD")
LOGIN = ("login", "logout", "oauth_callback")
RUN = re.compile(r"nbflow/api/runs/([^/]+)(?:/(cancel|events|logs|notebook|report))?|nbflow/runs/([^/]+)/report")
RUN_ID = re.compile(r"[0-9a-f]{16}")
CLOSED_OPTIONS = frozenset({"cwd", "kernel", "output"})
"""With another kernel, folder or output the notebook would be made to do what its author did not mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppScope:
    """One flow and its runs, below *base_url*."""

    reference: str
    """``project/name`` of a registered flow, or the path of a notebook below *folder*."""
    base_url: str
    folder: Path

    @property
    def is_path(self) -> bool:
        return self.reference.endswith(".ipynb")

    def admits(self, method: str, path: str) -> bool:
        """Whether a request is one that the app makes. Of its runs, ``owns`` tells."""
        place = path.removeprefix(self.base_url) if path.startswith(self.base_url) else ""
        if run := RUN.fullmatch(place):
            wanted = ("POST",) if run[2] == "cancel" else READING
            # Whoever knows all of an id has it from the app: beginnings can be tried out.
            return method in wanted and RUN_ID.fullmatch(run[1] or run[3]) is not None
        if place.startswith("nbflow/api/"):
            return self._admits_call(method, place)
        if place in LOGIN:
            return method in (*READING, "POST")
        return method in READING and (
            path in (self.base_url, self.base_url.rstrip("/"))
            or place.startswith("static/")
            or place == "favicon.ico"
            or self.is_page(path)
        )

    def is_page(self, path: str) -> bool:
        return unquote(path) == f"{unquote(self.base_url)}nbflow/app/{self.reference}"

    def _admits_call(self, method: str, place: str) -> bool:
        flow = f"nbflow/api/flows/{self.reference}"
        known: Mapping[str, tuple[str, ...]] = {flow: READING, f"{flow}/validate": ("POST",), f"{flow}/runs": ("POST",)}
        if self.is_path:
            known = {"nbflow/api/notebooks": READING, "nbflow/api/runs": ("POST",)}
        return method in known.get(place, ())

    def find_run(self, path: str) -> str | None:
        """The run that a request is about."""
        run = RUN.fullmatch(path.removeprefix(self.base_url))
        return run[1] or run[3] if run else None

    def owns(self, run: RunRecord) -> bool:
        if self.is_path:
            return run.flow is None and run.source_path == os.path.join(self.folder, self.reference)
        return run.flow == self.reference

    def check(self, request: RunRequest) -> None:
        """Raises Problem for a run that the form could not ask for."""
        errors = {f"options.{name}": "the app leaves no choice here" for name in _list_given(request.options)}
        if request.parent_id is not None:
            errors["parent_id"] = "a run of the app has no parent"
        if isinstance(request, StartRequest):
            for name in {"flow", "notebook", "label"} & request.model_fields_set:
                errors[name] = "the app runs its own notebook only"
            if request.path != self.reference:
                errors["path"] = f"the app runs {self.reference} only"
        if errors:
            told = "; ".join(f"{name}: {message}" for name, message in errors.items())
            raise Problem(HTTPStatus.FORBIDDEN, told, errors=errors)


def _list_given(options: Any) -> list[str]:
    return sorted(CLOSED_OPTIONS & options.model_dump(exclude_none=True).keys())


class Outside(Matcher):
    """Matches what is not the app's, of calls or of pages."""

    def __init__(self, scope: AppScope, *, of_pages: bool) -> None:
        self._scope = scope
        self._of_pages = of_pages

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        method, path = request.method or "", request.path
        if self._scope.admits(method, path):
            return None
        is_page = method in READING and not path.startswith((f"{self._scope.base_url}nbflow/api", "/api"))
        return {} if is_page is self._of_pages else None


def list_gates(scope: AppScope) -> list[Rule]:
    """To come before every route of the server."""
    from nbflow.server.handlers import UnknownHandler
    from nbflow.server.pages.handler import ElsewherePage

    return [
        Rule(Outside(scope, of_pages=False), UnknownHandler),
        Rule(Outside(scope, of_pages=True), ElsewherePage, {"name": "nbflow"}),
    ]
