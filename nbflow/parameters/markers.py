"""What a notebook writes into its annotations: ``Secret``, ``Range``, ``Choice`` and ``Pattern``.

They are light to import, because a parameters cell may import them in every kernel: pydantic is reached only when
pydantic asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Constraint:
    """A condition beside a type in ``Annotated``; pydantic checks it after the type."""

    __slots__ = ()

    def check(self, value: Any) -> str | None:
        """What is wrong with *value*, as ``must be …``; None when it is fine."""
        return None

    def keywords(self) -> dict[str, Any]:
        """The condition in the words of JSON Schema, as far as it has words for it."""
        return {}

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import PydanticCustomError, core_schema

        def checked(value: Any) -> Any:
            wrong = None if value is None else self.check(value)
            if wrong is not None:
                # pydantic can't carry a lone surrogate, which a limit of the notebook's may hold.
                shown = wrong.encode("utf-8", "backslashreplace").decode("utf-8")
                raise PydanticCustomError("constraint", "{wrong}", {"wrong": shown})
            return value

        return core_schema.no_info_after_validator_function(checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {**handler(schema), **self.keywords()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds(Constraint):
    """The limits that ``Range``, pydantic's ``Field`` and annotated-types can express; None is no limit."""

    gt: Any = None
    ge: Any = None
    lt: Any = None
    le: Any = None
    multiple_of: Any = None
    min_length: int | None = None
    max_length: int | None = None
    search: str | None = None
    """A regular expression that must be found somewhere in the text."""

    def check(self, value: Any) -> str | None:
        try:
            return self._check_order(value) or self._check_shape(value)
        except (TypeError, ValueError, ArithmeticError, re.error) as error:
            return f"can't be compared with its limits ({error})"

    def _check_order(self, value: Any) -> str | None:
        # Written so that NaN, which compares false with everything, breaks every limit.
        if self.gt is not None and not value > self.gt:
            return f"must be greater than {self.gt}"
        if self.ge is not None and not value >= self.ge:
            return f"must be at least {self.ge}"
        if self.lt is not None and not value < self.lt:
            return f"must be less than {self.lt}"
        if self.le is not None and not value <= self.le:
            return f"must be at most {self.le}"
        return None

    def _check_shape(self, value: Any) -> str | None:
        if self.multiple_of is not None and not _is_multiple(value, self.multiple_of):
            return f"must be a multiple of {self.multiple_of}"
        if self.min_length is not None and len(value) < self.min_length:
            return f"must have a length of at least {self.min_length}"
        if self.max_length is not None and len(value) > self.max_length:
            return f"must have a length of at most {self.max_length}"
        if self.search is not None and not re.search(self.search, value):
            return f"must match the pattern {self.search}"
        return None

    def keywords(self) -> dict[str, Any]:
        numbers = {
            "exclusiveMinimum": self.gt,
            "minimum": self.ge,
            "exclusiveMaximum": self.lt,
            "maximum": self.le,
            "multipleOf": self.multiple_of,
        }
        words = {word: limit for word, limit in numbers.items() if _is_finite_number(limit)}
        if self.search is not None:
            words["pattern"] = self.search
        return words


@dataclass(frozen=True, slots=True)
class Range(Constraint):
    """Both ends are included; None leaves an end open. ``step`` is for the control only, it is not enforced."""

    lo: Any = None
    hi: Any = None
    step: Any = None

    @property
    def bounds(self) -> Bounds:
        return Bounds(ge=self.lo, le=self.hi)

    def check(self, value: Any) -> str | None:
        wrong = self.bounds.check(value)
        both = self.lo is not None and self.hi is not None
        return f"must be from {self.lo} to {self.hi}" if wrong and wrong.startswith("must") and both else wrong

    def keywords(self) -> dict[str, Any]:
        return self.bounds.keywords()


@dataclass(frozen=True, slots=True, init=False)
class Choice(Constraint):
    """One of these values; on a list, tuple or set, every item must be one of them."""

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        object.__setattr__(self, "values", values)

    def check(self, value: Any) -> str | None:
        items = value if isinstance(value, list | tuple | set | frozenset) else (value,)
        if all(is_one_of(item, self.values) for item in items):
            return None
        return f"must be one of {', '.join(repr(choice) for choice in self.values)}"


@dataclass(frozen=True, slots=True)
class Pattern(Constraint):
    """A regular expression that the whole text must match."""

    regex: str

    def check(self, value: Any) -> str | None:
        try:
            return None if re.fullmatch(self.regex, value) else f"must match the pattern {self.regex}"
        except (TypeError, re.error) as error:
            return f"can't be matched with the pattern {self.regex} ({error})"

    def keywords(self) -> dict[str, Any]:
        return {"pattern": f"^(?:{self.regex})$"}


class Secret(str):
    """A string that nbflow writes nowhere; its repr is masked."""

    __slots__ = ()
    MASK = "********"

    def __repr__(self) -> str:
        return f"Secret({self.MASK!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "format": "password", "writeOnly": True}


class PandasTimestamp:
    """Stands for ``pandas.Timestamp`` in a declaration, which is read without pandas."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        from nbflow.parameters.moments import as_pandas_timestamp

        return core_schema.no_info_plain_validator_function(as_pandas_timestamp)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


class PandasTimedelta:
    """Stands for ``pandas.Timedelta`` in a declaration, which is read without pandas."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        from nbflow.parameters.moments import as_pandas_timedelta

        return core_schema.no_info_plain_validator_function(as_pandas_timedelta)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "format": "duration"}


def is_one_of(value: Any, choices: tuple[Any, ...]) -> bool:
    """Membership in which True is not 1: Python's ``in`` takes them for equal."""
    return any(isinstance(value, bool) == isinstance(choice, bool) and value == choice for choice in choices)


def _is_multiple(value: Any, step: Any) -> bool:
    if isinstance(value, float) or isinstance(step, float):
        quotient = value / step
        return bool(abs(quotient - round(quotient)) < 1e-9 * max(1.0, abs(quotient)))
    return bool(value % step == 0)


def _is_finite_number(limit: Any) -> bool:
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        return False
    return limit == limit and abs(limit) != float("inf")
