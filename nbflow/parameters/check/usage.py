"""Whether the parameters are used: zombies, values that are overwritten, and uses before a passed value arrives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nbflow.parameters.check.names import CellNames, Kind, Mention, find_names, find_words
from nbflow.parameters.declaration import Declaration
from nbflow.parameters.reading import is_python
from nbflow.parameters.records import Finding, Parameter, SourceCell

SKIPPED = frozenset({"skip-execution", "injected-parameters"})
"""Cells with these tags are not executed, or not as they stand."""
MAY_FAIL = "raises-exception"


def check_usage(cells: Sequence[SourceCell], declaration: Declaration) -> Iterator[Finding]:
    """Findings about the uses of each parameter, and cells that can't be read."""
    names = frozenset(parameter.name for parameter in declaration.parameters)
    python = is_python(declaration.language)
    find = find_names if python else find_words
    executed = [cell for cell in cells if cell.kind == "code" and not SKIPPED.intersection(cell.tags)]
    found = [find(cell, names) for cell in executed]
    own = declaration.cell_index
    yield from _check_syntax(executed, found, own)
    if own is None:
        return
    above = [cell for cell in found if cell.index < own]
    below = [cell for cell in found if cell.index > own]
    itself = [cell for cell in found if cell.index == own] if python else []
    widgets = any(cell.index == own and "dbutils" in cell.source for cell in executed)
    for parameter in declaration.parameters:
        early = None if widgets else _find_early(parameter, above, itself)
        if early is not None:
            yield _say_early(parameter, *early, own)
        yield from _check_below(parameter, below, own, is_excused=widgets or early is not None)


def _check_syntax(cells: Sequence[SourceCell], found: Sequence[CellNames], own: int | None) -> Iterator[Finding]:
    for cell, names in zip(cells, found, strict=True):
        if cell.index != own and MAY_FAIL not in cell.tags:
            for place in names.unreadable[:1]:
                message = f"not Python as this version reads it ({place.message}); the run would fail here"
                yield Finding(
                    rule="syntax", severity="warning", message=message, cell_index=cell.index, line=place.line
                )


def _find_early(
    parameter: Parameter, above: Sequence[CellNames], itself: Sequence[CellNames]
) -> tuple[CellNames, Mention] | None:
    """Where the parameter is read before a passed value is set: in a cell above, or further down in its own."""
    for cell in above:
        for mention in cell.of(parameter.name):
            if mention.kind is Kind.BIND:
                return _find_in_own(parameter, itself)
            if mention.kind is Kind.USE:
                return cell, mention
    return _find_in_own(parameter, itself)


def _find_in_own(parameter: Parameter, itself: Sequence[CellNames]) -> tuple[CellNames, Mention] | None:
    for cell in itself:
        for mention in cell.of(parameter.name):
            if mention.kind is Kind.USE and (mention.line or 0) > parameter.line:
                return cell, mention
    return None


def _say_early(parameter: Parameter, cell: CellNames, mention: Mention, own: int) -> Finding:
    where = (
        "the parameters cell itself, which runs before a passed value is set"
        if cell.index == own
        else f"cell {cell.index + 1}, above the parameters cell, where no value is set yet"
    )
    return Finding(
        rule="early",
        severity="warning",
        message=f"{parameter.name} is used in {where}; move that line to a later cell",
        cell_index=cell.index,
        line=mention.line,
        parameter=parameter.name,
    )


def _check_below(parameter: Parameter, below: Sequence[CellNames], own: int, *, is_excused: bool) -> Iterator[Finding]:
    name = parameter.name
    for cell in below:
        if cell.everything:
            return
        mentions = cell.of(name)
        if not mentions:
            continue
        if mentions[0].kind is Kind.BIND:
            yield Finding(
                rule="overwritten",
                severity="warning",
                message=f"{name} is assigned anew before it is used, so a passed value has no effect; rename one of them",
                cell_index=cell.index,
                line=mentions[0].line,
                parameter=name,
            )
        return
    if not is_excused:
        yield Finding(
            rule="unused",
            severity="warning",
            message=f"{name} is never used, so a passed value has no effect; use it in a later cell, or remove it",
            cell_index=own,
            line=parameter.line,
            parameter=name,
        )
