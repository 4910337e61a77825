"""What all handlers have in common: who may ask, how bodies are read, and how answers and errors are written."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado.web import HTTPError, RequestHandler, stream_request_body

from nbflow import __version__
from nbflow.errors import NbflowError, NotFoundError
from nbflow.parameters.values import EXACT_TYPE, dumps_exact, dumps_strict
from nbflow.server.problems import CONTENT_TYPE, Problem, describe, to_problem
from nbflow.server.reading import parse_json

if TYPE_CHECKING:
    from nbflow.project import Project
    from nbflow.server.service import Service

P = ParamSpec("P")
T = TypeVar("T")

VERSION_HEADER = "Nbflow-Version"
"""By which a client tells an answer of nbflow from one of whatever else may be at an address."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MAX_BODY = 2 * 1024 * 1024
MAX_UPLOAD = 64 * 1024 * 1024
"""A body up to this is received before it is refused: a client that is still sending hears no answer."""
UNAUTHORIZED = {"WWW-Authenticate": 'Bearer realm="nbflow"'}
BASE_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
SANDBOX_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; font-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
"""For what a notebook made: its scripts run in an origin of their own, without cookies, network, windows or a way out."""


class NbflowHandler(JupyterHandler):
    """The parent of pages and of the API's handlers: everything needs a user whom the server's authorizer lets in."""

    auth_resource = "nbflow"

    def __init_subclass__(cls, **options: Any) -> None:
        """Tell Jupyter Server, which looks for decorators, that every method is guarded: by ``prepare``."""
        super().__init_subclass__(**options)
        for name in METHODS:
            method = cls.__dict__.get(name.lower())
            if method is not None and not hasattr(method, "__allow_unauthenticated"):
                setattr(method, "__allow_unauthenticated", False)  # not mangled so

    @property
    def service(self) -> Service:
        return cast("Service", self.settings["nbflow_service"])

    @property
    def project(self) -> Project:
        return self.service.project

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run *function* in a thread: nothing that may wait for a disk or a database runs in the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.service.threads, partial(function, *args, **kwargs))

    async def authorize(self) -> None:
        """Refuse who is not known, and whom the authorizer forbids this kind of request. Raises Problem."""
        if self.current_user is None:
            raise Problem(HTTPStatus.UNAUTHORIZED, "log in, or send Authorization: token TOKEN", headers=UNAUTHORIZED)
        action = "read" if self.request.method in ("GET", "HEAD") else "write"
        allowed = self.authorizer.is_authorized(self, self.current_user, action, self.auth_resource)
        if inspect.isawaitable(allowed):
            allowed = await allowed
        if not allowed:
            raise Problem(HTTPStatus.FORBIDDEN, f"{self.current_user.username} may not {action} here")
        self.set_header(VERSION_HEADER, __version__)

    async def check_scope(self) -> None:
        """Refuse what belongs to another flow than the one that this server is the app of. Raises NotFoundError."""
        scope = self.service.settings.scope
        if scope is None:
            return
        if self.get_query_arguments("version"):
            raise NotFoundError("the app runs the newest version of its flow only")
        run_id = scope.find_run(self.request.path)
        if run_id is not None and not scope.owns(await self.call(self.project.get_run, run_id)):
            raise NotFoundError(f"run {run_id}: the app has made no such run")

    @classmethod
    def find_methods(cls) -> list[str]:
        """The methods that it answers."""
        own = [
            method
            for method in METHODS
            if getattr(cls, method.lower(), None) is not getattr(RequestHandler, method.lower())
        ]
        return [method for method in own if method != "HEAD" or "GET" in own]

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")


@stream_request_body
class ApiHandler(NbflowHandler, APIHandler):
    """JSON in, JSON out, problem details where something is wrong."""

    SUPPORTED_METHODS = METHODS
    max_body = MAX_BODY

    def initialize(self, **kwargs: Any) -> None:
        super().initialize(**kwargs)
        self._chunks: list[bytes] = []
        self._received = 0
        self._is_prepared = False

    # -- who may ask --------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:  # type: ignore[override]
        announced = self.request.headers.get("Content-Length", "0").strip()
        if not re.fullmatch("[0-9]{1,18}", announced):
            raise Problem(HTTPStatus.BAD_REQUEST, "Content-Length: expected a number of bytes")
        if int(announced) > MAX_UPLOAD:
            self._check_length(int(announced))
        await super().prepare()
        if self.request.method == "OPTIONS":  # a browser asks before it sends credentials; nothing is told
            return
        await self.authorize()
        if self.request.method not in self.find_methods():
            told = f"{self.request.method} is not answered here, but {', '.join(self.find_methods())}"
            raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, told)
        await self.check_scope()
        self._is_prepared = True

    def check_xsrf_cookie(self) -> None:
        """Who is not known is told to log in, rather than that a cookie is missing."""
        if getattr(self, "_jupyter_current_user", self) is None:
            raise Problem(HTTPStatus.UNAUTHORIZED, "log in, or send Authorization: token TOKEN", headers=UNAUTHORIZED)
        super().check_xsrf_cookie()

    def get_login_url(self) -> str:
        raise Problem(HTTPStatus.UNAUTHORIZED, "log in, or send Authorization: token TOKEN", headers=UNAUTHORIZED)

    @property
    def content_security_policy(self) -> str:
        return BASE_POLICY

    # -- bodies -------------------------------------------------------------------------------------------------------

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._received += len(chunk)
        if self._received <= self.max_body:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()
        return None

    @property
    def body(self) -> bytes:
        """Raises Problem when it was too large."""
        self._check_length(self._received)
        return b"".join(self._chunks)

    def _check_length(self, length: int) -> None:
        if length > self.max_body:
            limit = f"{self.max_body // 1024 // 1024} MiB"
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has {length:,} bytes; at most {limit} are taken"
            )

    def read_json(self, *, optional: bool = False) -> Any:
        """The body; an empty object where it is *optional* and absent. Raises Problem."""
        body = self.body
        if optional and not body.strip():
            return {}
        return parse_json(body, self.request.headers.get("Content-Type", ""))

    def read_arguments(self) -> dict[str, list[str]]:
        """The query. Raises Problem for what is no UTF-8."""
        try:
            return {
                name: [value.decode("utf-8") for value in values]
                for name, values in self.request.query_arguments.items()
            }
        except UnicodeDecodeError:
            raise Problem(HTTPStatus.BAD_REQUEST, "the query is not UTF-8") from None

    # -- answers ------------------------------------------------------------------------------------------------------

    async def head(self, *args: Any, **kwargs: Any) -> None:
        answer = self.get(*args, **kwargs)
        if inspect.isawaitable(answer):
            await answer

    @allow_unauthenticated
    def options(self, *args: Any, **kwargs: Any) -> None:
        """What the resource can do; the only answer that needs no token."""
        super().options(*args, **kwargs)  # CORS, as the server is configured
        allowed = ", ".join(self.find_methods())
        self.set_header("Allow", allowed)
        self.set_header("Access-Control-Allow-Methods", allowed)
        self.set_header(
            "Access-Control-Allow-Headers",
            "accept, content-type, authorization, x-xsrftoken, idempotency-key, last-event-id, if-match, if-none-match",
        )
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish_as(None, "")

    def answer(self, value: Any, status: int = HTTPStatus.OK, *, headers: Mapping[str, str] | None = None) -> None:
        """Write *value* as JSON that every program reads; NaN is a number only to a client that says it reads that."""
        self.set_status(status)
        for name, text in (headers or {}).items():
            self.set_header(name, text)
        if EXACT_TYPE in self.request.headers.get("Accept", ""):
            self.finish_as(dumps_exact(value).encode("ascii"), EXACT_TYPE)
        else:
            self.finish_as(dumps_strict(value).encode("utf-8") + b"\n", "application/json")

    def answer_nothing(self) -> None:
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish_as(None, "")

    def finish_as(self, body: bytes | None, content_type: str) -> None:
        """Write *body* with this content type, whatever Jupyter's handlers would set."""
        self.update_api_activity()
        if content_type:
            self.set_header("Content-Type", content_type)
        else:
            self.clear_header("Content-Type")
        RequestHandler.finish(self, body)

    def send_notebook(self, content: bytes, name: str) -> None:
        """A notebook as a file to be kept, which is not shown whatever it claims to be."""
        self.set_attachment_header(name.replace("/", "-"))
        self.set_header("Content-Security-Policy", SANDBOX_POLICY)
        self.finish_as(content, "application/x-ipynb+json")

    def make_url(self, path: str) -> str:
        """The address of something else of the API."""
        return f"{self.base_url}nbflow/api/{path}"

    # -- errors -------------------------------------------------------------------------------------------------------

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        if not isinstance(error, (Problem, NbflowError)):
            super().log_exception(kind, error, trace)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        kind = type(error).__name__ if isinstance(error, NbflowError) else ""
        problem = _explain(status_code, error)
        if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
            problem.headers["Allow"] = ", ".join(self.find_methods())
        self.set_status(problem.status)
        for name, text in problem.headers.items():
            self.set_header(name, text)
        if not self._is_prepared:
            self.set_header("Connection", "close")  # Tornado hangs up on who is refused before the body is read
        body = describe(
            problem.status, problem.detail, error=kind or problem.kind, errors=problem.errors, more=problem.more
        )
        self.finish_as(dumps_strict(body).encode("utf-8") + b"\n", CONTENT_TYPE)


def _explain(status: int, error: BaseException | None) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, NbflowError):
        return to_problem(error)
    if isinstance(error, HTTPError):
        known = HTTPStatus(status) if status in HTTPStatus._value2member_map_ else HTTPStatus.BAD_REQUEST
        return Problem(known, error.log_message or known.description or known.phrase)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "nbflow met a bug of its own; the server's log says more")


class UnknownHandler(ApiHandler):
    """Every path under the API that there is nothing at."""

    async def prepare(self) -> None:  # type: ignore[override]
        await super().prepare()
        if self.request.method != "OPTIONS":
            self._is_prepared = False
            raise Problem(HTTPStatus.NOT_FOUND, f"{self.request.path}: there is nothing; see nbflow/api/openapi.json")

    @classmethod
    def find_methods(cls) -> list[str]:
        return list(METHODS)
