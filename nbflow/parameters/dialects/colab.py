"""Colab's forms: ``n = 3 #@param {type:"slider", min:1, max:20}`` and what stands around them."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from nbflow.parameters import hints
from nbflow.parameters.dialects.relaxed import read_relaxed
from nbflow.parameters.dialects.texts import DateText
from nbflow.parameters.markers import Choice, Constraint, Range, is_one_of
from nbflow.parameters.reading import describe
from nbflow.parameters.records import LiteralDefault, Parameter
from nbflow.parameters.source import parse_python, read_comments

_FORM = re.compile(r"\#\s*@param\b(?P<rest>.*)", re.DOTALL)
_OTHER = re.compile(r"\#\s*@(?P<word>title|markdown)\b[ \t]*(?P<text>.*)")
_TITLE_OPTIONS = re.compile(r"\{[^{}]*\}\s*$")
_LIMITS = {"min": "minimum", "max": "maximum", "step": "step", "placeholder": "placeholder"}
_KINDS = frozenset({"slider", "integer", "number", "string", "boolean", "date", "raw"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What one ``#@param`` comment says."""

    kind: str = ""
    choices: tuple[Any, ...] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    help: str = ""

    @property
    def allows_input(self) -> bool:
        return self.options.get("allow-input") is True


def read_colab(source: str, parameters: list[Parameter]) -> list[Parameter]:
    """*parameters* of a Python cell, enriched by the cell's ``#@param`` comments. Never raises.

    A form gives a parameter its type unless the notebook annotates it; limits and lists of choices are conditions.
    A date is text with the format of a date, since that is what Colab assigns; a raw form takes any JSON value. With
    ``allow-input`` the choices are suggestions. ``#@markdown`` right above is the help, ``#@title`` the section. What
    is no form after all becomes help text.
    """
    comments = _comments(source)
    section = ""
    lines = sorted(parameter.line for parameter in parameters)
    ordered = {parameter.name: parameter for parameter in sorted(parameters, key=lambda parameter: parameter.line)}
    for name, parameter in ordered.items():
        following = next((line for line in lines if line > parameter.line), source.count("\n") + 2)
        section = _section(comments, parameter.line) or section
        place = next((line for line in range(parameter.line, following) if _FORM.search(comments.get(line, ""))), None)
        ordered[name] = parameter if place is None else _enrich(parameter, comments, place, section)
    return [ordered[parameter.name] for parameter in parameters]


def read_form(text: str) -> Form:
    """The form in what follows ``@param``; what can't be read is its help."""
    choices, options, rest = None, dict[str, Any](), text.strip()
    while rest[:1] in ("[", "{"):
        try:
            value, end = read_relaxed(rest)
        except ValueError:
            break
        rest = rest[end:].strip()
        if isinstance(value, dict):
            options.update(value)
        else:
            choices = tuple(item for item in value if not isinstance(item, dict | list))
            for item in value:
                options.update(item if isinstance(item, dict) else {})
    kind = str(options.get("type", "")).lower()
    if not options and choices is None and (bare := re.fullmatch(r"type\s*[:=]\s*[\"']?(\w+)[\"']?(?P<rest>.*)", rest)):
        kind, rest = bare[1].lower(), bare["rest"].strip()
    return Form(
        kind=kind if kind in _KINDS else "",
        choices=choices or None,
        options=MappingProxyType(options),
        help=rest.lstrip("#").strip(),
    )


def _enrich(parameter: Parameter, comments: Mapping[int, str], place: int, section: str) -> Parameter:
    before, after = _FORM.split(comments[place])[0], _FORM.search(comments[place])
    form = read_form(after["rest"] if after else "")
    texts = (before.lstrip("#").strip(), form.help)
    help_text = " ".join(text for text in texts if text) or _markdown_above(comments, parameter.line)
    if not help_text and "@param" not in parameter.help:
        help_text = parameter.help
    widget = {word: form.options[key] for key, word in _LIMITS.items() if key in form.options}
    widget |= {"kind": form.kind} if form.kind else {}
    widget |= {"section": section} if section else {}
    choices = _choices(form, parameter)
    widget |= {"allow_input": True, "choices": list(choices)} if form.allows_input and choices else {}
    changed = replace(parameter, help=help_text, widget=MappingProxyType({**parameter.widget, **widget}))
    if parameter.annotation is not None or parameter.secret:
        return changed
    hint = _hint(form, parameter, choices)
    described = describe(replace(changed, python_type=hint, inferred=False)) if hint is not None else changed
    return replace(described, choices=choices) if choices and not described.choices else described


def _hint(form: Form, parameter: Parameter, choices: tuple[Any, ...]) -> Any:
    """The type that the form means; None when it says nothing about it."""
    if choices:
        kinds = {type(choice) for choice in choices}
        kind: Any = kinds.pop() if len(kinds) == 1 else Any
        if isinstance(parameter.default, LiteralDefault) and parameter.default.value is None and kind is not Any:
            kind = kind | None
        return kind if form.allows_input else hints.annotate(kind, (Choice(*choices),))
    if form.choices is not None or form.kind == "raw":
        return Any
    if form.kind == "date":
        return _allow_default(parameter, str, DateText())
    if form.kind in ("string", "boolean"):
        return _allow_default(parameter, str if form.kind == "string" else bool)
    if form.kind in ("slider", "integer", "number"):
        return _number(form, parameter)
    return None


def _number(form: Form, parameter: Parameter) -> Any:
    limits = [form.options.get(key) for key in ("min", "max", "step")]
    lo, hi, step = (limit if type(limit) in (int, float) else None for limit in limits)
    default = _default(parameter)
    whole = all(type(part) is not float for part in (lo, hi, step, default))
    kind = int if form.kind == "integer" or (form.kind == "slider" and whole) else int | float
    if lo is None and hi is None:
        return _allow_default(parameter, kind)
    return _allow_default(parameter, kind, Range(lo, hi, step))


def _allow_default(parameter: Parameter, kind: Any, *conditions: Constraint) -> Any:
    """*kind*, with None where that is the default, and without the conditions that the default itself breaks."""
    if not isinstance(parameter.default, LiteralDefault):
        return hints.annotate(kind, conditions)
    default = parameter.default.value
    if default is None:
        return hints.annotate(kind | None, conditions)
    if type(default) not in hints.union_members(kind) and not (kind is int and type(default) is float):
        return None
    kind = int | float if kind is int and type(default) is float else kind
    return hints.annotate(kind, tuple(condition for condition in conditions if condition.check(default) is None))


def _choices(form: Form, parameter: Parameter) -> tuple[Any, ...]:
    """The choices as values of the default's type, the default among them; none when they can't be told."""
    if form.choices is None:
        return ()
    default = _default(parameter)
    values = [_choice(item, default, raw=form.kind == "raw") for item in form.choices]
    if any(value is None or isinstance(value, list | dict | tuple | set) for value in values):
        return ()
    if type(default) in (bool, int, float, str) and not is_one_of(default, tuple(values)):
        values.insert(0, default)
    return tuple(value for place, value in enumerate(values) if not is_one_of(value, tuple(values[:place])))


def _choice(item: Any, default: Any, *, raw: bool) -> Any:
    """What choosing *item* assigns: text, or with ``raw`` the value of the expression; None when that is computed."""
    if not raw and isinstance(default, str):
        return item if isinstance(item, str) else _source(item)
    if isinstance(item, str) and (raw or type(default) in (bool, int, float)):
        try:
            return ast.literal_eval(item.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return None if raw else item
    return item


def _source(item: Any) -> str:
    return {True: "true", False: "false"}[item] if isinstance(item, bool) else str(item)


def _default(parameter: Parameter) -> Any:
    return parameter.default.value if isinstance(parameter.default, LiteralDefault) else None


def _comments(source: str) -> Mapping[int, str]:
    """By line. Where the tokenizer gives up, a line's text from its ``#@`` on is taken for one."""
    comments = dict(read_comments(source))
    if parse_python(source) is not None:
        return comments
    last = max(comments, default=0)
    for number, line in enumerate(source.split("\n"), start=1):
        found = re.search(r"#\s*@(?:param|title|markdown)\b.*", line) if number > last else None
        if found is not None:
            comments[number] = found[0]
    return comments


def _section(comments: Mapping[int, str], line: int) -> str:
    """The title, or the heading of Markdown, nearest above *line*."""
    for number in sorted((number for number in comments if number < line), reverse=True):
        found = _OTHER.match(comments[number])
        if found is not None and (found["word"] == "title" or found["text"].startswith("#")):
            return _TITLE_OPTIONS.sub("", found["text"]).strip("# \t")
    return ""


def _markdown_above(comments: Mapping[int, str], line: int) -> str:
    """The ``#@markdown`` lines that end right above *line*, headings and rules left out."""
    texts: list[str] = []
    while (found := _OTHER.match(comments.get(line - 1, ""))) is not None and found["word"] == "markdown":
        line -= 1
        text = found["text"].strip()
        if text and not text.startswith("#") and not re.fullmatch(r"[-*_]{3,}", text):
            texts.insert(0, text)
    return " ".join(texts)
