"""Parameter files and YAML given on the command line.

A file ending in ``.json`` is JSON as Python writes it: NaN and Infinity are numbers, big integers are exact, a repeated
key is an error. Any other file, and ``-y``, is YAML 1.2 with its core types only: ``yes`` and ``2026-01-31`` are strings
(a ``date`` parameter reads the latter), ``007`` is 7. JSON inside YAML is read as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nbflow.errors import UsageError

# Aliases can make a few lines expand to billions of values; nobody passes this many.
MAX_VALUES = 1_000_000
_SURROGATES = re.compile("[\ud800-\udfff]")
# Line breaks in YAML 1.1, and to ruamel.yaml; ordinary characters in YAML 1.2.
_FORMER_BREAKS = "\x85\u2028\u2029"
_PRIVATE_USE = range(0xF0000, 0xFFFFE)


def read_parameter_file(path: Path) -> dict[str, Any]:
    """The mapping in a parameter file. Raises UsageError, which names the file and, where it can, the line."""
    source = f"parameter file {str(path)!r}"
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{source}: no such file") from None
    except IsADirectoryError:
        raise UsageError(f"{source}: is a folder, expected a JSON or YAML file") from None
    except OSError as error:
        raise UsageError(f"{source}: can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{source}: not UTF-8 (byte {error.start + 1}); save it as UTF-8") from None
    if path.suffix.lower() == ".json":
        return _expect_mapping(parse_json(text, source), source)
    return parse_yaml(text, source)


def parse_json(text: str, source: str) -> Any:
    """The value of a JSON text, exactly; UsageError names *source* and the line."""
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _refuse_repeats(pairs, text, source))
    except json.JSONDecodeError as error:
        raise UsageError(f"{source}, line {error.lineno}: not JSON: {error.msg} (column {error.colno})") from None
    except RecursionError:
        raise UsageError(f"{source}: nested too deeply") from None
    except ValueError as error:  # an integer of more digits than Python reads
        raise UsageError(f"{source}: {error}") from None


def parse_yaml(text: str, source: str) -> dict[str, Any]:
    """The mapping of a YAML text; UsageError names *source* and the line."""
    if text.lstrip().startswith("{") and _is_json(text):
        return _expect_mapping(parse_json(text, source), source)
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    yaml = YAML(typ="safe", pure=True)
    yaml.Resolver = _core_resolver()
    stand_ins = _choose_stand_ins(text)
    try:
        value = yaml.load(text.translate(stand_ins))
    except DuplicateKeyError as error:  # its own text shows the values, one of which may be a secret
        raise UsageError(f"{source}{_line(error)}: a key occurs twice; keep one") from None
    except MarkedYAMLError as error:
        problem = str(error.problem or error.context or "not YAML").splitlines()[0]
        raise UsageError(f"{source}{_line(error)}: {problem}") from None
    except YAMLError as error:
        raise UsageError(f"{source}: {_first_line(error)}") from None
    except RecursionError:
        raise UsageError(f"{source}: nested too deeply") from None
    except (ValueError, TypeError, AttributeError, LookupError) as error:  # a tagged value that is none of its type
        raise UsageError(f"{source}: {_first_line(error)}") from None
    return _expect_mapping({} if value is None else _settle(value, stand_ins, source), source)


def _line(error: Any) -> str:
    mark = error.problem_mark or error.context_mark
    return f", line {mark.line + 1}" if mark else ""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_repeats(pairs: list[tuple[str, Any]], text: str, source: str) -> dict[str, Any]:
    """The dict of *pairs*; JSON leaves open which of two equal keys wins, so neither does."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    places = [match.start() for match in re.finditer(re.escape(json.dumps(repeated)) + r"\s*:", text)]
    # The decoder tells no position; with exactly two places in the text the second is the one.
    where = f", line {text.count(chr(10), 0, places[1]) + 1}" if len(places) == 2 else ""
    raise UsageError(f"{source}{where}: the key {repeated!r} occurs twice; keep one")


def _expect_mapping(value: Any, source: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        kind = {list: "a list", str: "a string", type(None): "null"}.get(type(value), f"a {type(value).__name__}")
        raise UsageError(f"{source}: expected a mapping of parameter names to values, found {kind}")
    for key in value:
        if not isinstance(key, str):
            raise UsageError(f"{source}: the parameter name {key!r} is not a string")
    return dict(value)


def _choose_stand_ins(text: str) -> dict[int, int]:
    """For each former line break in *text*, a character that *text* does not use."""
    used = set(map(ord, text))
    free = (code for code in _PRIVATE_USE if code not in used)
    return {ord(character): next(free) for character in _FORMER_BREAKS if ord(character) in used}


def _settle(value: Any, stand_ins: Mapping[int, int], source: str) -> Any:
    """*value* as a tree: aliases copied, stand-ins undone, escaped surrogate pairs joined; endless or huge ones refused."""
    count = 0
    originals = {stand_in: original for original, stand_in in stand_ins.items()}

    def walk(item: Any, inside: tuple[int, ...]) -> Any:
        nonlocal count
        count += 1
        if count > MAX_VALUES or id(item) in inside:
            raise UsageError(f"{source}: its aliases make it endless or larger than {MAX_VALUES:,} values")
        if isinstance(item, str):
            item = item.translate(originals) if originals else item
            return _join_surrogates(item) if _SURROGATES.search(item) else item
        if isinstance(item, Mapping):
            return {walk(key, ()): walk(entry, (*inside, id(item))) for key, entry in item.items()}
        if isinstance(item, list):
            return [walk(entry, (*inside, id(item))) for entry in item]
        return item

    try:
        return walk(value, ())
    except RecursionError:
        raise UsageError(f"{source}: nested too deeply") from None


def _join_surrogates(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _core_resolver() -> type:
    """ruamel's resolver with the types of YAML 1.2's core schema (and merge keys), and no others."""
    from ruamel.yaml.resolver import BaseResolver

    digits = "-+0123456789"
    kinds: Iterable[tuple[str, str, str]] = (
        ("null", r"~|null|Null|NULL|", "~nN"),
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", digits),
        (
            "float",
            r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
            digits + ".",
        ),
        ("merge", r"<<", "<"),
    )
    table: dict[str, list[tuple[str, re.Pattern[str]]]] = {"": []}
    for name, pattern, firsts in kinds:
        entry = (f"tag:yaml.org,2002:{name}", re.compile(rf"(?:{pattern})\Z"))
        for first in [*firsts, *([""] if name == "null" else [])]:
            table.setdefault(first, []).append(entry)

    class CoreResolver(BaseResolver):  # type: ignore[misc, unused-ignore]
        yaml_implicit_resolvers = table
        processing_version = (1, 2)

        def __init__(self, version: Any = None, loader: Any = None) -> None:
            super().__init__(loader)

    return CoreResolver
