"""What happens in a run: its events as they come, and its log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from tornado.iostream import StreamClosedError

from nbflow.events import Event, LogLines
from nbflow.lifecycle import RunRecord
from nbflow.project.watching import read_events
from nbflow.server.feeds import encode_end, event_to_json, read_page
from nbflow.server.handlers import ApiHandler
from nbflow.server.problems import Problem
from nbflow.server.queries import EventsQuery, LogsQuery, Token
from nbflow.server.reading import read_query

if TYPE_CHECKING:
    from nbflow.project import Project

PING = 15.0
"""Seconds of silence after which a client, and all that lies between, is told that the stream lives."""
CHUNK = 256 * 1024


class EventsHandler(ApiHandler):
    """Server-sent events, or a page of JSON for who asks for that."""

    _track_activity = False  # whoever leaves a page open keeps no Hub or Binder from culling

    async def get(self, run_id: str) -> None:
        query = read_query(EventsQuery, self.read_arguments())
        after = self._read_last_id() or query.after
        run = await self.call(self.project.get_run, run_id)
        if "application/json" in self.request.headers.get("Accept", ""):
            await self._answer_page(run, after, query.limit)
        else:
            await self._stream(run, after)

    def _read_last_id(self) -> str | None:
        """The header that an EventSource sends when it comes back."""
        given = self.request.headers.get("Last-Event-ID")
        if not given:
            return None
        try:
            return TypeAdapter(Token).validate_python(given)
        except ValidationError:
            message = "expected the id of an event, such as 1.2048"
            raise Problem(
                HTTPStatus.BAD_REQUEST, f"Last-Event-ID: {message}", errors={"Last-Event-ID": message}
            ) from None

    async def _answer_page(self, run: RunRecord, after: str | None, limit: int) -> None:
        events = await self.call(read_page, self.project.config.home, run, after, limit)
        token = events[-1].token if events else after
        ended = run.state.is_terminal and len(events) < limit
        self.answer({"events": [event_to_json(event) for event in events], "next": token, "ended": ended})

    async def _stream(self, run: RunRecord, after: str | None) -> None:
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")
        if self.request.method == "HEAD":
            self.finish_as(None, "text/event-stream; charset=utf-8")
            return
        self._gone = asyncio.Event()
        with suppress(StreamClosedError):
            async with aclosing(_with_pings(self.service.feeds.follow(run, after), self._gone)) as frames:
                self.write(b"retry: 1000\n\n")
                await self.flush()
                async for text in frames:
                    self.write(text)
                    await self.flush()
            if not self._gone.is_set():
                self.write(encode_end(await self.call(self.project.get_run, run.id)))
                self.finish_as(None, "text/event-stream; charset=utf-8")

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if hasattr(self, "_gone"):
            self._gone.set()


async def _with_pings(frames: Any, gone: asyncio.Event) -> AsyncGenerator[bytes, None]:
    """The texts of *frames*, as many together as there are, and comments in silence; ends when the client is *gone*."""
    leaving = asyncio.ensure_future(gone.wait())
    coming: asyncio.Future[Any] | None = None
    try:
        while not gone.is_set():
            coming = coming or asyncio.ensure_future(anext(frames, None))
            await asyncio.wait({coming, leaving}, timeout=PING, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                frame, coming = coming.result(), None
                if frame is None:
                    return
                yield frame.text
            elif not gone.is_set():
                yield b": ping\n\n"
    finally:
        leaving.cancel()
        if coming is not None:
            coming.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await coming
        await frames.aclose()


class LogsHandler(ApiHandler):
    """What the notebook printed, as text or in pages of JSON."""

    _track_activity = False

    async def get(self, run_id: str) -> None:
        query = read_query(LogsQuery, self.read_arguments())
        run = await self.call(self.project.get_run, run_id)
        if query.format == "json":
            events = await self.call(read_page, self.project.config.home, run, query.after, query.limit)
            lines = list(_list_lines(events))
            token = events[-1].token if events else query.after
            ended = run.state.is_terminal and len(events) < query.limit
            self.answer({"lines": lines, "next": token, "ended": ended})
            return
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        chunks = _write_text(self.project, run, query.after)
        while chunk := await self.call(next, chunks, b""):
            self.write(chunk)
            await self.flush()
        self.finish_as(None, "text/plain; charset=utf-8")


def _list_lines(events: list[Event]) -> Iterator[dict[str, Any]]:
    lines = LogLines()
    for event in events:
        for stream, text in lines.take(event):
            cell = event.data.get("cell", event.data.get("index"))
            yield {
                "time": event.time.isoformat(),
                "stream": stream,
                "text": text,
                "cell": cell,
                "attempt": event.attempt,
            }
    # What is unfinished at the end of a page belongs to the next one only when its event comes again.
    for stream, text in lines.partial.items():
        last = events[-1]
        yield {
            "time": last.time.isoformat(),
            "stream": stream,
            "text": text,
            "cell": last.data.get("cell"),
            "attempt": last.attempt,
            "partial": True,
        }


def _write_text(project: Project, run: RunRecord, after: str | None) -> Iterator[bytes]:
    lines = LogLines()
    waiting: list[str] = []
    size = 0
    for event in read_events(project.config.home, run, after=after):
        for _, text in lines.take(event):
            waiting.append(text)
            size += len(text) + 1
        if size > CHUNK:
            yield _join(waiting)
            waiting, size = [], 0
    waiting.extend(lines.partial.values())
    if waiting:
        yield _join(waiting)


def _join(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")
