"""The events of runs for many clients at once: each journal is read and encoded once, whoever follows it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from nbflow.events import Event, EventKind, parse_token
from nbflow.lifecycle import RunRecord, RunState
from nbflow.parameters.values import dumps_strict
from nbflow.project.watching import find_end, read_events, to_state_event

PAUSE = 0.04
"""Seconds between two looks at the journal of a run that is executed."""
WAITING_PAUSE = 0.2
STATE_PAUSE = 0.15
LONGEST_QUEUE = 2000
"""Frames that wait for a slow client, which then reads them from the journal again."""

PAGE = 2000
"""Events that are read at once."""

Call = Callable[..., Awaitable[Any]]
GetRun = Callable[[str], RunRecord]


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as it is sent; *token* is None for what is in no journal."""

    token: str | None
    text: bytes


@dataclass(eq=False, slots=True)
class Follower:
    """A client that gets what comes."""

    queue: asyncio.Queue[Frame | None] = field(default_factory=lambda: asyncio.Queue(LONGEST_QUEUE))
    """None ends it."""
    is_behind: bool = False
    """It was too slow, and has missed frames."""

    def put(self, frame: Frame | None) -> None:
        try:
            if not self.is_behind:
                self.queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.is_behind = True


class Feed:
    """Follows one run while anybody listens."""

    def __init__(self, home: Path, run: RunRecord, token: str | None, get_run: GetRun, call: Call) -> None:
        self._home = home
        self._get_run = get_run
        self._call = call
        self.run = run
        self.token = token
        self.seen: RunState | None = None
        self.followers: set[Follower] = set()
        self.is_over = False
        self.error: BaseException | None = None
        self._task: asyncio.Task[None] | None = None

    def join(self, follower: Follower) -> None:
        self.followers.add(follower)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._follow())

    def leave(self, follower: Follower) -> None:
        self.followers.discard(follower)
        if not self.followers and self._task is not None:
            self._task.cancel()

    async def _follow(self) -> None:
        try:
            await self._read()
        except Exception as error:
            self.error = error
        finally:
            self.is_over = True
            for follower in self.followers:
                follower.put(None)

    async def _read(self) -> None:
        looked = time.monotonic()
        while True:
            events = await self._call(read_page, self._home, self.run, self.token)
            for event in events:
                self.token = event.token
                self._tell(encode(event))
            if self.run.state is not self.seen:
                self.seen = self.run.state
                self._tell(encode(to_state_event(self.run)))
            if self.run.state.is_terminal:
                return
            if not events:
                await asyncio.sleep(PAUSE if self.run.state is RunState.RUNNING else WAITING_PAUSE)
            # The state is read before the journal is read once more: nothing the last attempt wrote is missed.
            if time.monotonic() - looked > STATE_PAUSE or self.run.state is not RunState.RUNNING:
                self.run = await self._call(self._get_run, self.run.id)
                looked = time.monotonic()

    def _tell(self, frame: Frame) -> None:
        for follower in self.followers:
            follower.put(frame)


class Feeds:
    """The feeds that somebody listens to, by run. Used by the event loop alone."""

    def __init__(self, home: Path, get_run: GetRun, call: Call) -> None:
        self._home = home
        self._get_run = get_run
        self._call = call
        self._feeds: dict[str, Feed] = {}

    async def follow(self, run: RunRecord, after: str | None) -> AsyncIterator[Frame]:
        """Every event behind token *after*, as it comes; ends with the run."""
        token, seen = after, None
        while True:
            feed = await self._find(run)
            follower = Follower()
            position, told = feed.token, feed.seen
            feed.join(follower)
            try:
                # What came before is read from the journal, then what comes is taken from the feed: no gap, nothing twice.
                async for frame in self._catch_up(feed.run, token, position):
                    token = frame.token
                    yield frame
                if told is not None and told is not seen:
                    seen = told
                    yield encode(to_state_event(feed.run))
                async for frame in _listen(follower):
                    if frame.token is None or is_behind(token, frame.token):
                        token = frame.token or token
                        yield frame
            finally:
                feed.leave(follower)
                if not feed.followers and self._feeds.get(run.id) is feed:
                    del self._feeds[run.id]
            if not follower.is_behind:
                if feed.error is not None:
                    raise feed.error
                return

    async def _find(self, run: RunRecord) -> Feed:
        """The run's feed; a new one begins at the end of what there is now."""
        feed = self._feeds.get(run.id)
        if feed is None or feed.is_over:
            run = await self._call(self._get_run, run.id)
            end = await self._call(find_end, self._home, run)
            feed = self._feeds.get(run.id)
        if feed is None or feed.is_over:
            feed = self._feeds[run.id] = Feed(self._home, run, end, self._get_run, self._call)
        return feed

    async def _catch_up(self, run: RunRecord, token: str | None, position: str | None) -> AsyncIterator[Frame]:
        while is_behind(token, position):
            events = await self._call(read_page, self._home, run, token)
            for event in events:
                if is_behind(position, event.token):
                    return
                yield encode(event)
            if not events:
                return
            token = events[-1].token


async def _listen(follower: Follower) -> AsyncIterator[Frame]:
    while not (follower.is_behind and follower.queue.empty()):
        frame = await follower.queue.get()
        if frame is None:
            return
        yield frame


def read_page(home: Path, run: RunRecord, after: str | None, limit: int = PAGE) -> list[Event]:
    """The next events behind token *after*."""
    return list(islice(read_events(home, run, after=after), limit))


def is_behind(token: str | None, other: str | None) -> bool:
    """Whether *other* comes behind *token*."""
    return parse_token(other) > parse_token(token) if other is not None else False


def event_to_json(event: Event) -> dict[str, Any]:
    """An event as the API tells it."""
    is_kept = event.kind is not EventKind.STATE
    return {
        "number": event.number,
        "kind": event.kind.value,
        "time": event.time.isoformat(),
        "attempt": event.attempt,
        "token": event.token if is_kept else None,
        "data": dict(event.data),
    }


def encode(event: Event) -> Frame:
    """A server-sent event. One that is in no journal has no id: a client resumes behind the last one that is."""
    told = event_to_json(event)
    head = f"id: {told['token']}\n" if told["token"] else ""
    text = f"{head}event: {event.kind.value}\ndata: {dumps_strict(told)}\n\n"
    return Frame(told["token"], text.encode("utf-8", "backslashreplace"))


def encode_end(run: RunRecord) -> bytes:
    """The last thing that is sent: an EventSource would come back otherwise."""
    return f"event: end\ndata: {json.dumps({'state': run.state.value, 'message': run.message})}\n\n".encode()
