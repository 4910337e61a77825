"""The rows of a backfill: expanded, validated all before one is recorded, and kept in a file meanwhile.

An axis is validated once for each of its values, however many rows have it; a table once for each of its rows.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice, product
from typing import IO, Any

from nbflow.errors import Fault, NbflowError, ParameterError, RowError, RowFault, UsageError
from nbflow.lifecycle import call_key
from nbflow.parameters import Declaration, Values
from nbflow.parameters.values import MAX_BYTES, dumps_exact, loads_all

BATCH = 5_000
KEPT_FAULTS = 100
_MODULUS = 2**256
_MEMORABLE = (str, int, float, date)
_REMEMBERED = 2_000
_ONE_SECRET = "a secret has one value for all rows: where to read it, env:NAME or file:PATH"

Exclude = Iterable[Mapping[str, Any]] | Callable[[Mapping[str, Any]], object] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row that was found good."""

    number: int
    """From 1, in the order of the expansion, excluded rows counted."""
    parameters: Mapping[str, Any]
    """In JSON form."""
    key: str
    """``lifecycle.call_key``."""
    name: str | None
    """Of the run; None where no template gives one."""
    output: str | None


Render = Callable[[Mapping[str, Any]], tuple[str | None, str | None]]
"""``(name, output)`` of the run with these typed values. Raises UsageError, OutputError."""


@dataclass(kw_only=True)
class RowFile:
    """Good rows in a temporary file: memory holds one batch of them."""

    _file: IO[str] = field(default_factory=lambda: tempfile.TemporaryFile("w+", encoding="ascii"))  # noqa: SIM115
    total: int = 0
    excluded: int = 0
    axes: tuple[str, ...] = ()
    _sum: int = 0

    def add(self, row: Row) -> None:
        self._file.write(dumps_exact([row.number, row.parameters, row.key, row.name, row.output]) + "\n")
        self.total += 1
        # A sum does not depend on the order: the same rows are the same backfill, whichever axis comes first.
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(row.key.encode()).digest())) % _MODULUS

    @property
    def hash(self) -> str:
        """The same for the same rows of the same flow."""
        return f"{self._sum:064x}"

    def read(self) -> Iterator[list[Row]]:
        """All rows in their order, in batches."""
        self._file.seek(0)
        while lines := list(islice(self._file, BATCH)):
            yield [
                Row(number=number, parameters=parameters, key=key, name=name, output=output)
                for number, parameters, key, name, output in loads_all(lines)
            ]

    def close(self) -> None:
        self._file.close()


class RowReader:
    """Expands and validates the rows of one backfill."""

    def __init__(
        self,
        declaration: Declaration,
        reference: str,
        *,
        constants: Mapping[str, Any],
        axes: Mapping[str, Sequence[Any]],
        table: Iterable[Mapping[str, Any]] | None,
        exclude: Exclude,
        render: Render,
    ) -> None:
        self._declaration = declaration
        self._reference = reference
        self._render = render
        self._table = table
        self._faults: dict[tuple[int, Fault], RowFault] = {}
        self._refused = 0
        self._columns: dict[str, None] = {}
        self._lengths = {name: len(values) for name, values in axes.items()}
        self._constants = self._check(constants)
        self._known: dict[tuple[str, type, Any], tuple[Values, list[Fault]]] = {}
        self._axes = [self._check_axis(name, values) for name, values in axes.items()]
        self._exclude = self._read_exclude(exclude)
        self._required = [one.name for one in declaration.parameters if one.required]

    @property
    def constants(self) -> Values:
        """The values that all rows share."""
        return self._constants

    def write(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Some values in JSON form. Raises ParameterError."""
        return self._check(values).json

    def read(self) -> RowFile:
        """All rows. Raises RowError with the faults of every row, UsageError where there is none."""
        file = RowFile()
        try:
            self._fill(file)
        except BaseException:
            file.close()
            raise
        return file

    def _fill(self, file: RowFile) -> None:
        number = 0
        seen: set[int] = set()
        outputs: set[int] = set()
        for values, faulty in self._expand():
            number += 1
            if faulty is not None:
                self._refuse(number, faulty)
                continue
            try:
                row = self._make_row(number, values, seen, outputs)
            except ParameterError as error:
                self._refuse(number, error.faults)
                continue
            if row is None:
                file.excluded += 1
            else:
                file.add(row)
        file.axes = (*self._columns, *self._lengths)
        if self._refused:
            raise RowError(list(self._faults.values()), count=self._refused, total=number)
        if not file.total:
            why = f"all {number:,} are excluded" if number else "the table has none"
            raise UsageError(f"a backfill without rows: {why}")

    def _make_row(self, number: int, values: Values, seen: set[int], outputs: set[int]) -> Row | None:
        if self._exclude(values):
            return None
        text = dumps_exact(values.json)
        if len(text) > MAX_BYTES:
            raise _fault(
                "row", "size", f"its values take more than {MAX_BYTES // 1024} KiB; pass a path or URL instead"
            )
        key = call_key(self._reference, values.json)
        if not _is_new(key, seen):
            raise _fault("row", "twice", "the values of an earlier row; leave one of them out")
        try:
            name, output = self._render(values.typed)
        except ParameterError:
            raise
        except NbflowError as error:
            raise _fault("output", "template", " ".join(str(error).split())) from None
        if output is not None and not _is_new(hashlib.sha256(output.encode("utf-8", "replace")).hexdigest(), outputs):
            raise _fault(
                "output", "twice", f"an earlier row writes {output} too; name a parameter in it: out/{{day}}.ipynb"
            )
        return Row(number=number, parameters=dict(values.json), key=key, name=name, output=output)

    def _refuse(self, number: int, faults: Sequence[Fault]) -> None:
        self._refused += 1
        for fault in faults:
            # A value of an axis is refused in each row that has it: told once, with how many there are.
            key = (0 if fault.parameter in self._lengths else number, fault)
            known = self._faults.get(key)
            if known is not None:
                self._faults[key] = replace(known, rows=known.rows + 1)
            elif len(self._faults) < KEPT_FAULTS:
                self._faults[key] = RowFault(row=number, fault=fault)

    # -- expansion ------------------------------------------------------------------------------------------------

    def _expand(self) -> Iterator[tuple[Values, Sequence[Fault] | None]]:
        """Each row's values, or what is wrong with them: for each row of the table the product of the axes."""
        for given in [{}] if self._table is None else self._table:
            row, faults = self._check_table_row(given)
            for combination in product(*self._axes):
                typed, forms = {**self._constants.typed}, {**self._constants.json}
                wrong = [fault for _, several in combination for fault in several] + faults
                for values, _ in (*combination, (row, faults)):
                    typed |= values.typed
                    forms |= values.json
                missing = self._find_missing(typed) if not wrong else []
                yield Values(typed=typed, json=forms), (wrong or missing or None)

    def _check_table_row(self, given: Mapping[str, Any]) -> tuple[Values, list[Fault]]:
        for name in given:
            self._columns.setdefault(name)
            if name in self._lengths or name in self._constants.typed:
                raise UsageError(f"{name}: given both by the table of rows and as a value; leave one of them out")
        typed: dict[str, Any] = {}
        forms: dict[str, Any] = {}
        faults: list[Fault] = []
        for name, value in given.items():
            values, wrong = self._check_value(name, value)
            if values.typed.keys() & typed.keys():
                wrong = [*wrong, Fault(parameter=name, rule="name", message="given twice, in two spellings")]
            typed |= values.typed
            forms |= values.json
            faults += wrong
        return Values(typed=typed, json=forms), faults

    def _check_value(self, name: str, value: Any) -> tuple[Values, list[Fault]]:
        """One value, and what is wrong with it. Most values of a table are those of many rows."""
        key = (name, type(value), value) if isinstance(value, _MEMORABLE) else None
        if key is not None and key in self._known:
            return self._known[key]
        try:
            parameter = self._declaration.get(name)
            if parameter is not None and parameter.secret:
                raise _fault(name, "secret", _ONE_SECRET)
            checked: tuple[Values, list[Fault]] = self._check({name: value}), []
        except ParameterError as error:
            checked = Values(), list(error.faults)
        if key is not None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = checked
        return checked

    def _find_missing(self, typed: Mapping[str, Any]) -> list[Fault]:
        return [
            Fault(parameter=name, rule="missing", message="required, but the row has no value for it")
            for name in self._required
            if name not in typed
        ]

    def _check(self, values: Mapping[str, Any]) -> Values:
        return self._declaration.validate(self._adapt(values), partial=True)

    def _check_axis(self, name: str, values: Sequence[Any]) -> list[tuple[Values, list[Fault]]]:
        """A name that is not declared, or a secret, is wrong in every row: told at once, by ParameterError."""
        checked = [self._check_value(name, value) for value in values]
        general = [fault for fault in checked[0][1] if fault.rule in ("unknown", "name", "secret")]
        if general:
            raise ParameterError(general)
        return checked

    def _adapt(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """A date for a parameter of texts is the text of the date: notebooks often declare ``day = "2026-01-01"``."""
        adapted = dict(values)
        for name, value in values.items():
            parameter = self._declaration.get(name) if isinstance(value, date) else None
            if parameter is not None and parameter.python_type is str:
                midnight = getattr(value, "time", None) and value.time() == value.min.time() and value.tzinfo is None
                adapted[name] = (value.date() if midnight else value).isoformat()
        return adapted

    # -- exclusion ------------------------------------------------------------------------------------------------

    def _read_exclude(self, exclude: Exclude) -> Callable[[Values], bool]:
        if exclude is None:
            return lambda values: False
        if callable(exclude):
            return lambda values: bool(exclude(dict(values.typed)))
        conditions = [self._read_condition(condition) for condition in exclude]
        return lambda values: any(_fits(values.json, condition) for condition in conditions)

    def _read_condition(self, condition: Mapping[str, Any]) -> dict[str, set[str]]:
        """For each parameter the JSON texts of the values that it excludes."""
        if not isinstance(condition, Mapping) or not condition:
            raise UsageError(f"exclude {condition!r}: expected a mapping such as {{'region': 'US'}}, or a function")
        read: dict[str, set[str]] = {}
        for name, value in condition.items():
            values = value if isinstance(value, list | tuple | set | frozenset | range) else [value]
            read[name] = {dumps_exact(self._check({name: one}).json[name], sort_keys=True) for one in values}
        return read


def _fits(forms: Mapping[str, Any], condition: Mapping[str, set[str]]) -> bool:
    return all(
        name in forms and dumps_exact(forms[name], sort_keys=True) in values for name, values in condition.items()
    )


def _is_new(key: str, seen: set[int]) -> bool:
    """Whether *key* (hexadecimal) was not seen; eight bytes of it are remembered."""
    number = int(key[:16], 16)
    if number in seen:
        return False
    seen.add(number)
    return True


def _fault(parameter: str, rule: str, message: str) -> ParameterError:
    return ParameterError([Fault(parameter=parameter, rule=rule, message=message)])
