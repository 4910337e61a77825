"""Talking to an nbflow server: who asks, how long it is tried again, and what its refusals mean here."""

from __future__ import annotations

import http.client
import ipaddress
import json
import logging
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from nbflow.errors import ConfigError, NbflowError, StoreError
from nbflow.parameters.values import EXACT_TYPE, dumps_exact, loads_exact
from nbflow.project.remote.answers import Told, explain_stranger, explain_unread, to_error

ACCEPTED = f"{EXACT_TYPE}, application/json;q=0.9, */*;q=0.8"
FIRST_TIMEOUT = 30.0
"""Seconds that the first answer may take: whatever is there may speak another protocol."""
FIRST_PATIENCE = 2.0
"""Seconds for which a server is tried that never answered: it is probably not there."""
PATIENCE = 60.0
"""Seconds for which one is tried again that did: it may be restarted."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
TIMEOUT = 60.0
SILENCE = 40.0
"""Seconds; a stream that lives says something every 15."""
PASSING = (502, 503, 504)
"""What a proxy answers for a server that is being restarted, and a server whose store is away."""
VERSION_HEADER = "nbflow-version"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server said to one request that it did not refuse."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Raises ConfigError for what is no JSON object."""
        try:
            told = loads_exact(self.body) if self.body else None
        except ValueError:
            raise explain_unread("it is not JSON") from None
        if not isinstance(told, dict | None):
            raise explain_unread(f"expected an object, got {str(told)[:50]}")
        return told if told is None else Told(told)


class _Lost(Exception):
    """No answer came."""

    def __init__(self, reason: str, *, unsent: bool, error: NbflowError | None = None) -> None:
        super().__init__(reason)
        self.unsent = unsent
        """Whether the server can't have seen the request."""
        self.error = error
        """What the server itself says of it."""


class _KeepPlace(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the token is for this server alone."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Connection:
    """The API of one server. Safe to use from several threads."""

    def __init__(
        self,
        url: str,
        get_token: Callable[[], str | None],
        *,
        allow_http: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """*tell* hears of a connection that is lost, once each time. Raises ConfigError where the way there is open to all."""
        self.url = url
        self._get_token = get_token
        self._tell = tell or logging.getLogger(__name__).warning
        self._has_answered = False
        is_near = _is_loopback(urllib.parse.urlsplit(url).hostname or "")
        if url.startswith("http:") and not (is_near or allow_http):
            raise ConfigError(
                f"{self.server}: without https everyone on the way reads the token and all values\n"
                "use https, or say NBFLOW_ALLOW_HTTP=1 where the network is trusted"
            )
        proxies = [urllib.request.ProxyHandler({})] if is_near else []
        self._opener = urllib.request.build_opener(*proxies, _KeepPlace())

    @property
    def server(self) -> str:
        """Its address, for people."""
        return self.url.removesuffix("/nbflow/api")

    def __repr__(self) -> str:
        return f"<connection to {self.server}>"

    # -- one answer -----------------------------------------------------------------------------------------------

    def get(self, path: str, **query: Any) -> Any:
        return self.ask("GET", path, query=query).json

    def post(self, path: str, body: Any = None, *, key: str | None = None, is_safe: bool = False) -> Any:
        """*key*: an ``Idempotency-Key``, with which it may be sent twice. *is_safe*: it may in any case."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.ask(
            "POST", path, body={} if body is None else body, headers=headers, is_safe=is_safe or bool(key)
        ).json

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        is_safe: bool | None = None,
        timeout: float = TIMEOUT,
    ) -> Reply:
        """One request, sent again while no answer comes and it does no harm. Raises the server's errors, and StoreError."""
        data = content if content is not None or body is None else encode(body)
        request = self._make(method, path, query, data, {"Accept": ACCEPTED, **(headers or {})})
        may_repeat = method in ("GET", "PUT", "DELETE", "PATCH") if is_safe is None else is_safe
        outage = Outage(self)
        while True:
            try:
                with closing(
                    self._open(request, timeout if self._has_answered else min(timeout, FIRST_TIMEOUT))
                ) as answer:
                    reply = Reply(
                        answer.status, {key.lower(): text for key, text in answer.headers.items()}, _read(answer)
                    )
                outage.end()
                return reply
            except _Lost as lost:
                if not (may_repeat or lost.unsent):
                    raise lost.error or StoreError(
                        f"{self.server}: the connection was lost before the answer came ({lost})\n"
                        "what was asked for may have been done: look before you ask again"
                    ) from None
                outage.wait(lost)

    # -- a stream -------------------------------------------------------------------------------------------------

    def stream(self, path: str, *, after: str | None = None) -> Iterator[tuple[str, Any]]:
        """Server-sent events, kind and data, up to the one of the kind ``end``; taken up again where it broke off."""
        last = after
        outage = Outage(self)
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
            try:
                with closing(self._open(self._make("GET", path, None, None, headers), SILENCE)) as answer:
                    for token, kind, data in parse_stream(_read_lines(answer)):
                        outage.end()
                        last = token or last
                        yield kind, data
                        if kind == "end":
                            return
                raise _Lost("it was closed", unsent=False)
            except _Lost as lost:
                outage.wait(lost)

    # -- requests -------------------------------------------------------------------------------------------------

    def _make(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        data: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> urllib.request.Request:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        text = f"?{urllib.parse.urlencode(given, doseq=True)}" if given else ""
        request = urllib.request.Request(
            f"{self.url}/{path}{text}", data=data, method=method, headers=dict(headers or {})
        )
        request.add_header("User-Agent", "nbflow")
        if data is not None:
            request.add_header("Content-Type", EXACT_TYPE)
        token = self._get_token()
        if token:
            request.add_unredirected_header("Authorization", f"token {token}")
        return request

    def _open(self, request: urllib.request.Request, timeout: float) -> Any:
        try:
            answer = self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as refusal:
            with refusal:
                body = _read(refusal)
            error = to_error(refusal.code, body, server=self.server, token=self._get_token())
            if refusal.code in PASSING and isinstance(error, StoreError):
                raise _Lost(f"it answers {refusal.code}", unsent=False, error=error) from None
            raise error from None
        except urllib.error.URLError as error:
            raise self._explain(error.reason) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._explain(error) from None
        except ValueError as error:  # a token that can't be sent
            raise ConfigError(f"NBFLOW_API_TOKEN: it can't be sent to {self.server}: {type(error).__name__}") from None
        if not answer.headers.get(VERSION_HEADER):
            answer.close()
            raise explain_stranger(self.server)
        return answer

    def _explain(self, reason: object) -> Exception:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return ConfigError(f"{self.server}: its certificate is not trusted: {reason.verify_message}")
        return _Lost(_describe(reason), unsent=isinstance(reason, ConnectionRefusedError) or _is_unknown_host(reason))

    def say(self, text: str) -> None:
        self._tell(text)

    @property
    def patience(self) -> float:
        return PATIENCE if self._has_answered else FIRST_PATIENCE

    def note_answer(self) -> None:
        self._has_answered = True


class Outage:
    """The time for which a server does not answer: waited out with growing pauses, and told once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._asked = time.monotonic()
        self.end(heard=False)

    def end(self, *, heard: bool = True) -> None:
        """It answers."""
        self._began: float | None = None
        self._pause = FIRST_PAUSE
        if heard:
            self._connection.note_answer()

    def wait(self, lost: _Lost) -> None:
        """Until it is time to try again. Raises StoreError when it was tried for long enough."""
        connection, now = self._connection, time.monotonic()
        patience = connection.patience
        if self._began is None:
            self._began = now if patience == PATIENCE else self._asked
            if patience == PATIENCE:
                connection.say(f"connection to {connection.server} lost ({lost}); trying again for {PATIENCE:g} s")
        if now - self._began + self._pause > patience:
            raise lost.error or StoreError(
                f"{connection.server} can't be reached: {lost}\nis the server up, and NBFLOW_API_URL right?"
            )
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


def encode(value: Any) -> bytes:
    """NaN stays NaN: nothing becomes another value on the way."""
    return dumps_exact(value).encode("ascii")


def parse_stream(lines: Iterator[str]) -> Iterator[tuple[str | None, str, Any]]:
    """``(id, kind, data)`` of each server-sent event; one that broke off is left out."""
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
        elif not colon and fields:
            if "event" in fields and "data" in fields:
                yield fields.get("id"), fields["event"], json.loads(fields["data"])
            fields = {}


def _read_lines(answer: Any) -> Iterator[str]:
    try:
        for line in answer:
            if not line.endswith(b"\n"):
                return
            yield line.decode("utf-8").rstrip("\r\n")
    except (OSError, http.client.HTTPException) as error:
        raise _Lost(_describe(error), unsent=False) from None


def _read(answer: Any) -> bytes:
    try:
        content: bytes = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise _Lost(_describe(error), unsent=False) from None
    return content


def _describe(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "no answer"
    if isinstance(reason, http.client.HTTPException) and not isinstance(reason, OSError):
        return "it broke off"
    text = (reason.strerror or str(reason)) if isinstance(reason, OSError) else str(reason)
    return " ".join(text.split())[:150].lower() or "it broke off"


def _is_unknown_host(reason: object) -> bool:
    import socket

    return isinstance(reason, socket.gaierror)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
