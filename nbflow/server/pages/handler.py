"""What all pages have in common: who may see them, what they may load, and how they are rendered."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, quote, urlencode

from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado.web import HTTPError, RequestHandler

from nbflow.errors import NbflowError
from nbflow.server.handlers import NbflowHandler
from nbflow.server.problems import Problem, to_problem

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parents[1] / "templates"
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)


class PageHandler(ExtensionHandlerMixin, NbflowHandler):
    """An HTML page. Who is not logged in is sent to do so."""

    section = ""
    """Which entry of the navigation is the page's own."""

    async def prepare(self) -> None:  # type: ignore[override]
        answer = super().prepare()
        if answer is not None:
            await answer
        if self.current_user is None and not self._finished:
            self.redirect(f"{self.get_login_url()}?{urlencode({'next': self.request.uri or self.base_url})}")
        if self._finished:
            return
        await self.authorize()
        await self.check_scope()
        self._hide_token()

    @property
    def app_url(self) -> str:
        """Where the server is the app of one flow: the address of its page."""
        scope = self.service.settings.scope
        return "" if scope is None else f"{self.base_url}nbflow/app/{quote(scope.reference)}"

    def _hide_token(self) -> None:
        """The token has become a cookie by now; in the address it would be seen, copied and kept."""
        query = parse_qsl(self.request.query, keep_blank_values=True)
        rest = [(name, value) for name, value in query if name != "token"]
        if len(rest) < len(query):
            self.redirect(self.request.path + (f"?{urlencode(rest)}" if rest else ""))

    @property
    def content_security_policy(self) -> str:
        configured = self.settings.get("headers", {}).get("Content-Security-Policy")
        return str(configured) if configured else POLICY

    @property
    def templates(self) -> Environment:
        made = self.settings.get("nbflow_templates")
        if made is None:
            from jinja2 import Environment, FileSystemLoader

            made = Environment(
                loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
            )
            made.policies["json.dumps_kwargs"] = {"sort_keys": False}  # parameters keep their order
            self.settings["nbflow_templates"] = made
        return cast("Environment", made)

    def show(self, template: str, **values: Any) -> None:
        """Finish with a page. The scripts' token is the one against cross-site requests, never the user's own."""
        from nbflow import __version__

        self.set_header("Content-Type", "text/html; charset=utf-8")
        is_known = getattr(self, "_jupyter_current_user", None) is not None  # a bad request is told so before it is
        page = self.templates.get_template(template).render(
            base=f"{self.base_url}nbflow/",
            xsrf=self.xsrf_token.decode("ascii") if is_known else "",
            static=self.static_url,
            section=self.section,
            version=__version__,
            app_url=self.app_url,
            **values,
        )
        RequestHandler.finish(self, page)

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        if not isinstance(error, (Problem, NbflowError)):
            super().log_exception(kind, error, trace)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        if isinstance(error, NbflowError):
            error = to_problem(error)
        status, detail = status_code, HTTPStatus(status_code).phrase
        if isinstance(error, Problem):
            status, detail = error.status, error.detail
        elif isinstance(error, HTTPError) and error.log_message:
            detail = error.log_message
        self.set_status(status)
        self.show("error.html", status=int(status), title=HTTPStatus(status).phrase, detail=detail)


class ElsewherePage(PageHandler):
    """Every page of a server that is the app of one flow, but the app's own."""

    def get(self) -> None:
        raise Problem(HTTPStatus.NOT_FOUND, "this server is the app of one flow; there is no other page")
