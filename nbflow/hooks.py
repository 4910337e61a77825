"""Hooks: what is called when a run changes its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from nbflow.lifecycle import RunRecord, RunState

DEFAULT_TEMPLATE = "{name} ({flow}): {state}{colon} {message}"
KEYS = ("call", "url", "states", "flow", "template", "timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One hook: a Python callable or an address, and the changes that it wants to hear of."""

    call: str | None = None
    """``package.module:function``, called with ``(flow, run, old_state, new_state)``."""
    url: str | None = None
    """``http://`` and ``https://``: JSON is posted there; anything else is one of apprise's notification URLs."""
    states: tuple[RunState, ...] = ()
    """Only changes to one of these; empty: to any."""
    flow: str = "*"
    """Only runs of flows whose full name or path matches this pattern: ``sales/*``."""
    template: str = DEFAULT_TEMPLATE
    """Of the message, over ``flow name id state old_state message parameters``."""
    timeout: float = 30.0
    """Seconds after which a hook that hangs is ended."""

    @property
    def label(self) -> str:
        """What names it in records. A URL may hold a password: only its scheme and host are shown."""
        if self.call is not None:
            return self.call
        scheme, _, rest = (self.url or "").partition("://")
        return f"{scheme}://{rest.rpartition('@')[2].partition('/')[0]}"

    def wants(self, run: RunRecord) -> bool:
        """Whether the state that *run* has come to is one to hear of."""
        if self.states and run.state not in self.states:
            return False
        return fnmatchcase(run.flow or "", self.flow) or fnmatchcase(run.source_path, self.flow)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "states": [state.value for state in self.states]}


def read_hook(record: Mapping[str, Any] | str) -> Hook:
    """A hook as the configuration has it: a table, or just a dotted path or URL. Raises ValueError."""
    if isinstance(record, str):
        record = {"url" if "://" in record else "call": record}
    unknown = [key for key in record if key not in KEYS]
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; known are {', '.join(KEYS)}")
    call, url = record.get("call"), record.get("url")
    if (call is None) == (url is None):
        raise ValueError("a hook has either 'call' (package.module:function) or 'url'")
    if call is not None and not all(part.isidentifier() for name in call.split(":") for part in name.split(".")):
        raise ValueError(f"call {call!r}: expected package.module:function")
    if call is not None and call.count(":") != 1:
        raise ValueError(f"call {call!r}: expected package.module:function")
    if url is not None and "://" not in url:
        raise ValueError(f"url {url!r}: expected scheme://…")
    try:
        states = tuple(RunState(state) for state in record.get("states", ()))
    except ValueError:
        raise ValueError(f"states {record['states']!r}: there are {', '.join(RunState)}") from None
    return Hook(
        call=call,
        url=url,
        states=states,
        flow=str(record.get("flow", "*")),
        template=str(record.get("template", DEFAULT_TEMPLATE)),
        timeout=float(record.get("timeout", 30.0)),
    )
