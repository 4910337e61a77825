"""From a declared type to pydantic's validator for it: pydantic's containers, unions and conditions around our scalars."""

from __future__ import annotations

import datetime
import decimal
import pathlib
import typing
import uuid
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, TypeAdapter, ValidationError, WrapValidator
from pydantic_core import PydanticCustomError

from nbflow.parameters import hints, moments, scalars
from nbflow.parameters.coercion import read_text
from nbflow.parameters.markers import PandasTimedelta, PandasTimestamp, Secret

_SCALARS: Mapping[Any, Callable[[Any], Any]] = {
    bool: scalars.as_bool,
    int: scalars.as_int,
    float: scalars.as_float,
    str: scalars.as_str,
    NoneType: scalars.as_none,
    datetime.date: moments.as_date,
    datetime.datetime: moments.as_datetime,
    datetime.time: moments.as_time,
    datetime.timedelta: moments.as_timedelta,
    decimal.Decimal: scalars.as_decimal,
    pathlib.Path: scalars.as_path,
    uuid.UUID: scalars.as_uuid,
    Secret: scalars.as_secret,
    PandasTimestamp: moments.as_pandas_timestamp,
    PandasTimedelta: moments.as_pandas_timedelta,
    Any: scalars.as_json,
}


def make_adapter(hint: Any) -> TypeAdapter[Any]:
    """The validator of values of type *hint*, strict about scalars, at ease about list, tuple and set."""
    return TypeAdapter(strict_type(hint))


def strict_type(hint: Any) -> Any:
    """*hint* with each part replaced by what pydantic needs to validate it our way; conditions stay beside it."""
    bare, metadata = hints.split_annotated(hint)
    return hints.annotate(_strict_bare(bare), metadata)


def fits(value: Any, hint: Any) -> bool:
    """Whether *value* is of type *hint*, conditions included."""
    try:
        make_adapter(hint).validate_python(value)
    except ValidationError:
        return False
    return True


def _strict_bare(bare: Any) -> Any:
    if hints.is_literal(bare):
        return Annotated[Any, PlainValidator(scalars.as_one_of(typing.get_args(bare)))]
    if hints.is_enum(bare):
        return Annotated[Any, PlainValidator(scalars.as_member(bare))]
    if hints.is_union(bare):
        return _strict_union(bare)
    container = hints.container_of(bare)
    if container is dict:
        return _strict_dict(typing.get_args(bare))
    if container is not None:
        return _strict_items(container, typing.get_args(bare), bare)
    check = _SCALARS.get(bare)
    return bare if check is None else Annotated[Any, PlainValidator(check)]


def _strict_union(bare: Any) -> Any:
    members = [member for member in typing.get_args(bare) if member is not NoneType]
    # float takes integers too, so int must be asked first, or 2 would come back as 2.0.
    members.sort(key=lambda member: hints.split_annotated(member)[0] is float)
    inner = strict_type(members[0])
    if len(members) > 1:
        union: Any = hints.join([strict_type(member) for member in members])
        inner = Annotated[union, Field(union_mode="left_to_right"), WrapValidator(_one_error(hints.type_text(bare)))]
    return Annotated[inner, WrapValidator(_let_none_pass)] if len(members) < len(typing.get_args(bare)) else inner


def _let_none_pass(value: Any, handler: Callable[[Any], Any]) -> Any:
    return None if value is None else handler(value)


def _one_error(text: str) -> Callable[[Any, Callable[[Any], Any]], Any]:
    """A union that refuses says so once, not once for each member; a broken condition of a member is told instead."""

    def check(value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                if detail["type"] in ("constraint", "unrepresentable"):
                    raise PydanticCustomError(detail["type"], "{why}", {"why": detail["msg"]}) from None
            raise scalars.refuse(text, value) from None

    return check


def _strict_items(container: type, arguments: tuple[Any, ...], bare: Any) -> Any:
    fixed = container is tuple and bool(arguments) and Ellipsis not in arguments
    parts = tuple(strict_type(part) for part in arguments if part is not Ellipsis) or (strict_type(Any),)
    if container is tuple:
        made: Any = tuple[parts] if fixed else tuple[parts[0], ...]  # type: ignore[valid-type]
    else:
        made = typing.cast(Any, container)[parts[0]]
    size = len(arguments) if fixed else None

    def check(value: Any) -> Any:
        if type(value) not in (list, tuple, set, frozenset):
            raise scalars.refuse(hints.type_text(bare), value)
        if size is not None and len(value) != size:
            raise scalars.refuse(f"{size} items", f"{len(value)}")
        return value

    return Annotated[made, BeforeValidator(check)]


def _strict_dict(arguments: tuple[Any, ...]) -> Any:
    key, value = arguments if len(arguments) == 2 else (Any, Any)
    if key is Any or key is str:
        check_key: Any = Annotated[Any, PlainValidator(_as_text_key)]
    else:
        # JSON has only text for keys: "1" is the key 1 of dict[int, …].
        check_key = Annotated[strict_type(key), BeforeValidator(_read_key(key))]
    made: Any = typing.cast(Any, dict)[check_key, strict_type(value)]
    return Annotated[made, BeforeValidator(_check_dict)]


def _check_dict(value: Any) -> Any:
    if type(value) is not dict:
        raise scalars.refuse("dict", value)
    return value


def _as_text_key(key: Any) -> Any:
    if type(key) is str:
        return key
    why = f"the key {scalars.show(key)} is not a string; annotate {{name}}: dict[{type(key).__name__}, Any]"
    raise PydanticCustomError("unrepresentable", "{why}", {"why": why})


def _read_key(kind: Any) -> Callable[[Any], Any]:
    return lambda key: read_text(key, kind, fits) if type(key) is str else key
