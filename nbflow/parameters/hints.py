"""Looking at types: what a typing object is made of, how people read it, what there is to choose from."""

from __future__ import annotations

import enum
import typing
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union

from nbflow.parameters.forms import enum_form, json_form
from nbflow.parameters.markers import Choice, PandasTimedelta, PandasTimestamp, Secret

CONTAINERS = (list, tuple, set, frozenset, dict)


def split_annotated(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The bare type and the metadata of an ``Annotated``, nested ones flattened by typing itself."""
    if typing.get_origin(hint) is typing.Annotated:
        bare, *metadata = typing.get_args(hint)
        return bare, tuple(metadata)
    return hint, ()


def union_members(hint: Any) -> tuple[Any, ...]:
    """The members of a union; a type that is no union is its own only member."""
    if typing.get_origin(hint) in (Union, UnionType):
        return typing.get_args(hint)
    return (hint,)


def is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (Union, UnionType)


def container_of(hint: Any) -> type | None:
    """``list`` for ``list`` and ``list[int]``, and so on; None for what holds no items."""
    origin = typing.get_origin(hint) or hint
    return origin if isinstance(origin, type) and origin in CONTAINERS else None


def is_literal(hint: Any) -> bool:
    return typing.get_origin(hint) is Literal


def is_enum(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, enum.Enum)


def is_secret(hint: Any) -> bool:
    """Whether any part of the type is ``Secret``: then the whole value is treated as one."""
    bare, _ = split_annotated(hint)
    if bare is Secret:
        return True
    return any(is_secret(part) for part in typing.get_args(bare)) and not is_literal(bare)


def is_whole_secret(hint: Any) -> bool:
    """Whether the type is ``Secret``, or that and None."""
    return split_annotated(without_none(hint))[0] is Secret


def without_none(hint: Any) -> Any:
    """The type without its None; ``Any`` stays ``Any``."""
    bare, metadata = split_annotated(hint)
    if not is_union(bare):
        return hint
    rest = tuple(member for member in typing.get_args(bare) if member is not NoneType)
    return annotate(join(rest) if rest else NoneType, metadata)


def conditions_of(hint: Any) -> tuple[Any, ...]:
    """What stands beside the type, whether inside or outside of an optional."""
    inner = without_none(split_annotated(hint)[0])
    return (*split_annotated(hint)[1], *split_annotated(inner)[1])


def join(members: Sequence[Any]) -> Any:
    """The union of *members*; ``Any`` swallows the others."""
    if any(member is Any for member in members):
        return Any
    return Union[tuple(members)]  # noqa: UP007 - the members are known only here


def annotate(hint: Any, metadata: tuple[Any, ...]) -> Any:
    return typing.Annotated[(hint, *metadata)] if metadata else hint  # type: ignore[return-value,unused-ignore]


def type_text(hint: Any) -> str:
    """The type as people read it; conditions are told apart from it."""
    bare, _ = split_annotated(hint)
    if bare in (None, NoneType):
        return "None"
    if bare is Any:
        return "Any"
    if bare is Ellipsis:
        return "..."
    if is_literal(bare):
        return f"Literal[{', '.join(repr(value) for value in typing.get_args(bare))}]"
    if is_union(bare):
        return " | ".join(type_text(member) for member in typing.get_args(bare))
    if bare in (PandasTimestamp, PandasTimedelta):
        return str(bare.__name__).removeprefix("Pandas")
    origin, arguments = typing.get_origin(bare), typing.get_args(bare)
    if origin is not None and arguments:
        return f"{type_text(origin)}[{', '.join(type_text(part) for part in arguments)}]"
    return str(getattr(bare, "__name__", bare))


def choices_of(hint: Any) -> tuple[Any, ...]:
    """The values to choose from, in JSON form; empty when they are not finite."""
    bare, metadata = split_annotated(hint)
    for item in metadata:
        if isinstance(item, Choice):
            return tuple(json_form(value) for value in item.values)
    if is_literal(bare):
        return tuple(value for value in typing.get_args(bare) if value is not None)
    if is_enum(bare):
        return tuple(enum_form(member) for member in bare)
    if is_union(bare):
        found = [choices_of(member) for member in typing.get_args(bare) if member is not NoneType]
        return tuple(value for choices in found for value in choices) if all(found) else ()
    if container_of(bare) in (list, set, frozenset) and typing.get_args(bare):
        return choices_of(typing.get_args(bare)[0])
    return ()
