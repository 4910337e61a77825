"""What papermill's translators lack, in one place: every value is looked at before a translator writes it.

A language is a class that puts ``Repairs`` before papermill's translator of that language. The translator keeps what it
does right (comments, assignments, the syntax of lists); what it writes wrongly is overridden, or refused with
``Unwritable``. Nothing here goes through papermill's registry: other packages replace entries in it.
"""

from __future__ import annotations

import datetime
import enum
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from nbflow.parameters.forms import MAX_DEPTH, NoForm, enum_form
from nbflow.parameters.records import NoDefault, Parameter

INT32 = 2**31
INT64 = 2**63
MAX_INT_BITS = 14_000
"""Python itself writes no integer of more than 4,300 digits without being told to."""

_NATIVE = (bool, int, float, str, list, dict, tuple, set, frozenset, type(None))
_SURROGATE = re.compile("[\ud800-\udfff]")


class Unwritable(Exception):
    """The language has no literal for the value. The text says why and what to do, and never shows the value."""


class Repairs:
    """Checks a value and gives it to the method that writes its kind."""

    LANGUAGE: ClassVar[str]
    RESERVED: ClassVar[frozenset[str]] = frozenset()
    """Words that can't be variables, and names that the literals of this class stand on."""
    NAN: ClassVar[str] = ""
    INFINITY: ClassVar[str] = ""

    if TYPE_CHECKING:
        # What papermill's translators bring; they have no types of their own.
        @classmethod
        def assign(cls, name: str, str_val: str) -> str: ...
        @classmethod
        def comment(cls, cmt_str: str) -> str: ...
        @classmethod
        def translate_none(cls, val: Any) -> str: ...
        @classmethod
        def translate_bool(cls, val: bool) -> str: ...
        @classmethod
        def translate_int(cls, val: int) -> str: ...
        @classmethod
        def translate_str(cls, val: str) -> str: ...
        @classmethod
        def translate_list(cls, val: Any) -> str: ...
        @classmethod
        def translate_dict(cls, val: dict[str, Any]) -> str: ...

    @classmethod
    def translate(cls, val: Any) -> str:
        """The literal of *val*. Raises Unwritable."""
        value = plain(val)
        if value is None:
            return cls.translate_none(value)
        writers: Mapping[type, Callable[[Any], str]] = {
            bool: cls.translate_bool,
            int: cls.translate_int,
            float: cls.translate_float,
            str: cls.translate_str,
            list: cls.translate_list,
            tuple: cls.translate_list,
            dict: cls.translate_dict,
        }
        return writers.get(type(value), cls.translate_typed)(value)

    @classmethod
    def translate_float(cls, val: float) -> str:
        """Python's shortest text of a float, which all of these languages read, and the language's own NaN and infinity."""
        if math.isnan(val):
            return cls.NAN
        if math.isinf(val):
            return cls.INFINITY if val > 0 else f"-{cls.INFINITY}"
        return repr(val)

    @classmethod
    def translate_typed(cls, val: Any) -> str:
        """A value that JSON doesn't have: a language overrides this for the types that it has itself."""
        raise Unwritable(
            f"a {type(val).__name__} has no exact literal in {cls.LANGUAGE}: declare text instead and pass a string"
        )

    @classmethod
    def name_fault(cls, name: str) -> str | None:
        """Why *name* can't be a variable; None when it can."""
        if not cls.is_identifier(name):
            return f"is no variable name in {cls.LANGUAGE}: use letters, digits and underscores"
        if name in cls.RESERVED:
            return f"is a name that {cls.LANGUAGE} keeps for itself: choose another"
        return None

    @classmethod
    def is_identifier(cls, name: str) -> bool:
        return name.isidentifier()

    @classmethod
    def binding(cls, name: str) -> str:
        """The variable that *name* leads to, where that is not *name* itself."""
        return name

    @classmethod
    def bind(cls, name: str, value: Any, declared: Parameter | None) -> str:
        """The statement that gives *name* its value, in the form that the parameters cell uses where it matters."""
        return cls.assign(name, cls.translate(value))

    @classmethod
    def comment_line(cls, text: str) -> str:
        """One line of comment, whatever *text* holds."""
        # Scala 2 reads unicode escapes even in comments, an interactive bash reads history marks there.
        kept = "".join(char for char in " ".join(text.split()) if char.isprintable() and char not in "\\!")
        return cls.comment(kept)


def declared_source(declared: Parameter | None) -> str:
    """The default as the parameters cell writes it; empty when there is none."""
    return "" if declared is None or isinstance(declared.default, NoDefault) else declared.default.source


def declared_words(declared: Parameter | None) -> list[str]:
    """The words that the parameters cell puts beside the name: ``var`` and ``Long`` in ``var x: Long = 3``."""
    return [] if declared is None or declared.annotation is None else declared.annotation.split()


def plain(value: Any) -> Any:
    """*value* as one of the types that the writers know; Unwritable when that would change it."""
    if type(value) in _NATIVE:
        if isinstance(value, int) and value.bit_length() > MAX_INT_BITS:
            raise Unwritable("is an integer of more than 4,000 digits: pass it as a string")
        return value
    if isinstance(value, enum.Enum):
        try:
            return plain(enum_form(value))
        except NoForm as error:
            raise Unwritable(str(error)) from error
    if isinstance(value, str):
        return str.__str__(value)
    for kind in (int, float):
        if isinstance(value, kind):
            return plain(kind(value))
    module = type(value).__module__.partition(".")[0]
    if module == "numpy" and getattr(value, "ndim", 1) == 0:
        item = value.item()
        # datetime64 in nanoseconds gives an integer: a different thing.
        return item if type(item) in _NATIVE and value.dtype.kind in "biufU" else value
    return _without_pandas(value) if module == "pandas" else value


def _without_pandas(value: Any) -> Any:
    kind = type(value).__name__
    if kind == "Timestamp" and value.nanosecond == 0:
        return value.to_pydatetime()
    if kind == "Timedelta" and value.nanoseconds == 0:
        return value.to_pytimedelta()
    # NaT says that it is a datetime; nanoseconds are more than one holds.
    raise Unwritable(f"a pandas {kind} has no exact literal here: declare text instead and pass a string")


def check_shape(value: Any) -> None:
    """Refuse keys that are not text, and nesting deeper than the parsers of all languages bear."""
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise Unwritable(f"is nested deeper than {MAX_DEPTH} levels: pass the path of a JSON file")
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                if not all(isinstance(key, str) for key in item):
                    raise Unwritable("has keys that are not text: use strings as keys")
                inner.extend(item.values())
            elif isinstance(item, list | tuple | set | frozenset):
                inner.extend(item)
        level, depth = inner, depth + 1


def check_text(text: str, language: str, *, nul: bool) -> None:
    """Refuse what the strings of *language* can't hold: half a surrogate pair and, unless *nul*, NUL."""
    if _SURROGATE.search(text):
        raise Unwritable(f"holds half of a surrogate pair, which is no character in {language}: remove it")
    if not nul and "\0" in text:
        raise Unwritable(f"holds a NUL character, which strings in {language} can't: remove it, or pass a file's path")


def escape(text: str, named: Mapping[str, str], numbered: Callable[[int], str], *, ascii_only: bool = False) -> str:
    """*text* with the characters in *named* replaced, and with every unprintable one as *numbered* says."""

    def one(char: str) -> str:
        if char in named:
            return named[char]
        return char if char.isprintable() and not (ascii_only and ord(char) > 126) else numbered(ord(char))

    return "".join(map(one, text))


def unicode_escape(code: int) -> str:
    r"""``\u`` with four digits or ``\U`` with eight: full width, so that a digit after it stays a digit."""
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def utf16_escape(code: int) -> str:
    r"""``\u`` for each UTF-16 unit, for languages whose strings are made of those."""
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def tag(value: Any, *, one_map: bool = False) -> str:
    """The static type that a literal of *value* has: equal tags make a list that no compiler converts.

    With *one_map*, all dictionaries are of one type, whatever they hold.
    """
    value = plain(value)
    if value is None or type(value) in (bool, float, str):
        return type(value).__name__
    if type(value) is int:
        return "int32" if -INT32 <= value < INT32 else "int64" if -INT64 <= value < INT64 else "big"
    if isinstance(value, dict):
        return "dict" if one_map else f"dict[{_common(value.values(), one_map)}]"
    if isinstance(value, list | tuple | set | frozenset):
        return f"{'list' if isinstance(value, list | tuple) else 'set'}[{_common(value, one_map)}]"
    if isinstance(value, datetime.datetime):
        return "datetime" if value.tzinfo is None else "datetime+zone"
    return type(value).__name__


def is_uniform(tags: set[str]) -> bool:
    """Whether items of these tags are of one type, down to their own items."""
    return len(tags) == 1 and not any("mixed" in item for item in tags)


def _common(values: Iterable[Any], one_map: bool) -> str:
    tags = {tag(value, one_map=one_map) for value in values}
    return tags.pop() if len(tags) == 1 else "mixed"
