"""What an engine tells the runner of an attempt: a line of JSON and the notebook, through the runner's stdin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from nbflow.engines.declared import Injection
from nbflow.lifecycle import RunOptions
from nbflow.parameters.values import dumps_exact, loads_exact
from nbflow.ports import Launch


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSpec:
    """One attempt as its runner sees it. ``secrets`` travel in the pipe and nowhere else."""

    run_id: str
    attempt: int
    name: str
    flow: str
    source_path: str
    notebook: bytes = field(repr=False)
    parameters: Mapping[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    injection: Injection = Injection()  # noqa: RUF009 - frozen
    options: RunOptions
    tags: tuple[str, ...] = ()
    parent_id: str | None = None
    root_id: str = ""
    depth: int = 0
    scheduled_time: datetime | None = None
    tied: bool = True
    grace: float = 5.0
    output_limit: int = 10_000_000
    environment: Mapping[str, str] = field(default_factory=dict)
    """For the kernel: how a notebook finds this run's store when it submits children."""

    def encode(self) -> bytes:
        record = {name: getattr(self, name) for name in self.__slots__}
        record |= {"options": asdict(self.options), "injection": asdict(self.injection)}
        record["notebook"] = len(self.notebook)
        record["scheduled_time"] = self.scheduled_time.isoformat() if self.scheduled_time else None
        return dumps_exact(record).encode("ascii") + b"\n" + self.notebook

    @classmethod
    def decode(cls, stream: BinaryIO) -> AttemptSpec:
        """Reads no further than the spec: what follows in *stream* is its end, when the owner is gone."""
        record = loads_exact(stream.readline())
        record["notebook"] = stream.read(record["notebook"])
        record["options"] = RunOptions(**record["options"])
        record["injection"] = Injection(**record["injection"])
        record["tags"] = tuple(record["tags"])
        time = record["scheduled_time"]
        record["scheduled_time"] = datetime.fromisoformat(time) if time else None
        return cls(**record)

    @classmethod
    def from_launch(cls, launch: Launch, injection: Injection, **settings: Any) -> AttemptSpec:
        run = launch.run
        return cls(
            run_id=run.id,
            attempt=launch.attempt.number,
            name=run.name,
            flow=run.flow or run.source_path,
            source_path=run.source_path,
            notebook=launch.notebook,
            parameters=run.parameters,
            secrets=launch.secrets,
            injection=injection,
            options=run.options,
            tags=run.tags,
            parent_id=run.parent_id,
            root_id=run.root_id,
            depth=run.depth,
            scheduled_time=run.scheduled_time,
            tied=launch.tied,
            **settings,
        )
