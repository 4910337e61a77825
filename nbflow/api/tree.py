"""The tree of a run and its descendants, as rows in the order in which a person reads it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nbflow.lifecycle import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One run in its tree."""

    run: RunRecord
    depth: int
    """Below the topmost run of the rows, from 0."""
    lead: str
    """The lines that join it to its parent: ``│  ├─ ``; empty for a top."""


def grow(runs: Sequence[RunRecord]) -> Iterator[Branch]:
    """Parents before their children, siblings in order of submission; a run whose parent is not among *runs* is a top.

    Tops keep the order of *runs*.
    """
    known = {run.id for run in runs}
    below: dict[str, list[RunRecord]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.sequence):
        if run.parent_id in known:
            below[run.parent_id or ""].append(run)

    def climb(run: RunRecord, depth: int, lead: str, indent: str) -> Iterator[Branch]:
        yield Branch(run=run, depth=depth, lead=lead)
        children = below[run.id]
        for child in children:
            is_last = child is children[-1]
            yield from climb(
                child, depth + 1, indent + ("└─ " if is_last else "├─ "), indent + ("   " if is_last else "│  ")
            )

    for run in runs:
        if run.parent_id not in known:
            yield from climb(run, 0, "", "")
