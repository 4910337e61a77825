"""The controls: what a person types or chooses one value with. One class for each look, one table from kind to class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets as W

from nbflow.parameters import ComputedDefault, Declaration, Parameter, Text
from nbflow.widgets.form import UNSET
from nbflow.widgets.kinds import SHAPES, Kind, bare_type, choices_of, is_optional, limits_of
from nbflow.widgets.texts import read_field, write_field

STYLE = {"description_width": "var(--nbflow-label)"}
CHOOSE = "choose …"
COMPUTED = "computed in each run"
MAX_COMPLETIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a control is made for."""

    declaration: Declaration
    parameter: Parameter
    label: str
    folder: Path
    """Relative paths start here."""
    tell: Callable[[], None]
    """Called when a person changed it."""

    @property
    def prompt(self) -> str:
        """What an empty field says."""
        if isinstance(self.parameter.default, ComputedDefault):
            return COMPUTED
        hint = self.parameter.widget.get("placeholder")
        return hint if isinstance(hint, str) else SHAPES.get(bare_type(self.parameter), "")


class Control:
    """One control; ``widget`` carries the label, ``beside`` stands to its right."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.parameter = place.parameter
        self.beside: tuple[W.Widget, ...] = ()
        self._silent = False
        self.widget: W.Widget = self.build()

    def build(self) -> W.Widget:
        """The labelled widget, its changes told to :meth:`told`."""
        raise NotImplementedError

    def read(self) -> Any:
        """What is typed or chosen; UNSET when that is nothing."""
        raise NotImplementedError

    def write(self, form: Any) -> None:
        """Show a value in JSON form, or UNSET."""
        raise NotImplementedError

    def show(self, form: Any) -> None:
        """As :meth:`write`, told to nobody."""
        with self.silence():
            self.write(form)

    def disable(self, disabled: bool) -> None:
        for widget in (self.widget, *self.beside):
            widget.disabled = disabled

    def told(self, _: Any = None) -> None:
        if not self._silent:
            self.place.tell()

    @contextmanager
    def silence(self) -> Iterator[None]:
        self._silent = True
        try:
            yield
        finally:
            self._silent = False

    def watched(self, widget: W.Widget) -> W.Widget:
        """*widget*, whose value is listened to."""
        widget.observe(self.told, names="value")
        return widget

    @property
    def common(self) -> dict[str, Any]:
        return {"description": self.place.label, "tooltip": self.place.label, "style": STYLE}


class TextControl(Control):
    """A line of text, read as on a command line."""

    widget_type: type = W.Text

    def build(self) -> W.Widget:
        made = self.widget_type(placeholder=self.place.prompt, **self.common)
        return self.watched(made)

    def read(self) -> Any:
        text = self.widget.value
        return read_field(self.parameter, text) if text.strip() or (text and self._is_str) else UNSET

    @property
    def _is_str(self) -> bool:
        return bare_type(self.parameter) is str

    def write(self, form: Any) -> None:
        absent = form is UNSET or (form is None and is_optional(self.parameter))
        self.widget.value = "" if absent else self.to_text(form)

    def to_text(self, form: Any) -> str:
        if isinstance(form, Text):
            return str(form)
        return write_field(self.place.declaration, self.parameter, form)


class LongTextControl(TextControl):
    """Several lines: text, items or JSON."""

    widget_type = W.Textarea

    def write(self, form: Any) -> None:
        super().write(form)
        self.widget.rows = min(max(self.widget.value.count("\n") + 1, 3), 10)


class NumberControl(TextControl):
    """A number as text, since a number field of the toolkit rounds and clamps without a word; a slider where it fits."""

    def build(self) -> W.Widget:
        from nbflow.widgets.sliders import make_slider

        made = super().build()
        self._slider = make_slider(self.place.label, self.parameter, self._slid)
        self.beside = () if self._slider is None else (self._slider,)
        made.observe(self._follow, names="value")
        return made

    def _slid(self, text: str) -> None:
        if not self._silent and text != self.widget.value:
            self.widget.value = text

    def _follow(self, _: Any = None) -> None:
        from nbflow.widgets.sliders import find_position

        position = find_position(self.widget.value, limits_of(self.parameter))
        if self._slider is not None and position is not None and position != self._slider.value:
            with self.silence():
                self._slider.value = position


class PathControl(TextControl):
    """Text that is completed with the files and folders that exist."""

    widget_type = W.Combobox

    def build(self) -> W.Widget:
        made = super().build()
        made.ensure_option = False
        made.observe(self._complete, names="value")
        return made

    def write(self, form: Any) -> None:
        super().write(form)
        self._complete()

    def _complete(self, _: Any = None) -> None:
        widget = getattr(self, "widget", None)
        if widget is not None:
            widget.options = complete_path(widget.value, self.place.folder)


class SuggestionsControl(TextControl):
    """Text for which the notebook suggests values."""

    widget_type = W.Combobox

    def build(self) -> W.Widget:
        made = super().build()
        made.options = tuple(self.to_text(choice) for choice in choices_of(self.parameter))
        return made


class CheckControl(Control):
    """A checkbox."""

    def build(self) -> W.Widget:
        return self.watched(W.Checkbox(indent=False, **self.common))

    def read(self) -> Any:
        return bool(self.widget.value)

    def write(self, form: Any) -> None:
        self.widget.value = form is True


class ChoiceControl(Control):
    """A drop-down list; its values are places in the list, since to the toolkit 1 and True are the same."""

    def build(self) -> W.Widget:
        self._choices = choices_of(self.parameter)
        options = [(write_choice(choice, self._choices), place) for place, choice in enumerate(self._choices)]
        return self.watched(W.Dropdown(options=[(self.place.prompt or CHOOSE, -1), *options], value=-1, **self.common))

    def read(self) -> Any:
        return UNSET if self.widget.value == -1 else self._choices[self.widget.value]

    def write(self, form: Any) -> None:
        self.widget.value = find_choice(form, self._choices)


class ChoicesControl(Control):
    """A list in which several lines can be marked."""

    def build(self) -> W.Widget:
        self._choices = choices_of(self.parameter)
        options = [(write_choice(choice, self._choices), place) for place, choice in enumerate(self._choices)]
        return self.watched(W.SelectMultiple(options=options, rows=min(len(options), 6), **self.common))

    def read(self) -> Any:
        return [self._choices[place] for place in sorted(self.widget.value)]

    def write(self, form: Any) -> None:
        given = form if isinstance(form, list | tuple | set | frozenset) else ()
        places = {find_choice(item, self._choices) for item in given} - {-1}
        self.widget.value = tuple(sorted(places))


def write_choice(choice: Any, choices: tuple[Any, ...]) -> str:
    """A choice as people read it; text in quotes only where another choice is written alike."""
    alike = [other for other in choices if str(other) == str(choice)]
    return repr(choice) if len(alike) > 1 or choice == "" else str(choice)


def find_choice(form: Any, choices: tuple[Any, ...]) -> int:
    """The place of a value among the choices; -1 where it is none of them."""
    for place, choice in enumerate(choices):
        if isinstance(form, bool) == isinstance(choice, bool) and form == choice:
            return place
    return -1


def complete_path(text: str, folder: Path) -> tuple[str, ...]:
    """The paths that exist and begin with *text*, folders with a slash."""
    start, separator, rest = text.rpartition("/")
    place = folder / Path(f"{start}{separator}" or ".").expanduser()
    try:
        with_hidden = rest.startswith(".")
        found = sorted(entry for entry in place.iterdir() if entry.name.startswith(rest))
        names = [
            f"{start}{separator}{entry.name}{'/' if entry.is_dir() else ''}"
            for entry in found
            if with_hidden or not entry.name.startswith(".")
        ]
    except (OSError, ValueError, RuntimeError):
        return ()
    return tuple(names[:MAX_COMPLETIONS])


def make_control(kind: Kind, place: Place) -> Control:
    """The control for a place in the form."""
    from nbflow.widgets.clocks import DateControl, DatetimeControl, TimeControl
    from nbflow.widgets.passwords import SecretControl

    table: Mapping[Kind, type[Control]] = {
        Kind.CHECK: CheckControl,
        Kind.CHOICE: ChoiceControl,
        Kind.CHOICES: ChoicesControl,
        Kind.SUGGESTIONS: SuggestionsControl,
        Kind.NUMBER: NumberControl,
        Kind.DATE: DateControl if hasattr(W, "DatePicker") else TextControl,
        Kind.DATETIME: DatetimeControl if hasattr(W, "NaiveDatetimePicker") else TextControl,
        Kind.TIME: TimeControl if hasattr(W, "TimePicker") else TextControl,
        Kind.TEXT: TextControl,
        Kind.LONG_TEXT: LongTextControl,
        Kind.LINES: LongTextControl,
        Kind.JSON: LongTextControl,
        Kind.PATH: PathControl,
        Kind.SECRET: SecretControl,
    }
    return table[kind](place)
