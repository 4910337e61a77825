"""Secrets in what a run prints and shows."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from nbflow.engines.masking import MASK, Mask
from nbflow.engines.narrator import Narrator
from nbflow.engines.session import Session
from nbflow.events import EventKind

SECRET = "s3cr3t <&> \"quoted\" 'and' é\\n"


@pytest.mark.parametrize(
    "spell",
    [str, repr, json.dumps, html.escape, lambda text: quote(text, safe=""), lambda text: f"[{text}]" * 3],
    ids=["plain", "repr", "json", "html", "url", "repeated"],
)
def test_every_usual_spelling_is_masked(spell: object) -> None:
    text = spell(SECRET)  # type: ignore[operator]
    masked = Mask([SECRET]).text(f"before {text} after")
    assert MASK in masked
    assert "s3cr3t" not in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


def test_a_secret_that_is_only_begun_is_held_back_until_it_is_known() -> None:
    mask = Mask(["abcdef"])
    assert mask.text("x abc", final=False) == "x "
    assert mask.text("x abc", final=True) == "x abc"
    assert mask.text("x abcdef y", final=False) == f"x {MASK} y"


def test_keys_and_values_of_json_are_masked() -> None:
    assert Mask(["top"]).json({"top": ["a top b", 1, None]}) == {MASK: [f"a {MASK} b", 1, None]}


def test_the_lines_of_a_secret_of_several_lines_are_masked_alone_too() -> None:
    mask = Mask(["-----BEGIN-----\nMIIabcdef\n-----END-----"])
    assert mask.text("MIIabcdef") == MASK


def test_without_secrets_nothing_changes() -> None:
    assert not Mask([])
    assert not Mask([""])
    assert Mask([]).text("abc") == "abc"


class Collector:
    def __init__(self) -> None:
        self.events: list[tuple[EventKind, object]] = []

    def add(self, kind: EventKind, data: object = None) -> None:
        self.events.append((kind, data))

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_secret_printed_in_pieces_reaches_no_event(size: int) -> None:
    secret = "correct horse battery staple"
    collector = Collector()
    narrator = Narrator(Session(connection_folder=Path(), listener=collector, mask=Mask([secret])))
    text = f"the token is {secret}!\nand again {secret}"
    for start in range(0, len(text), size):
        narrator.print("stdout", text[start : start + size], 0)
        narrator.show_partial()
    narrator.finish_lines()
    told = json.dumps([data for _, data in collector.events])
    assert secret not in told
    assert "correct horse b" not in told
    lines = [line for _, data in collector.events for line in data["lines"]]  # type: ignore[index]
    assert lines == [f"the token is {MASK}!", f"and again {MASK}"]


def test_base64_is_not_claimed() -> None:
    """What a notebook encodes in its own way can't be seen; the documentation says so."""
    encoded = base64.b64encode(b"correct horse battery staple").decode()
    assert Mask(["correct horse battery staple"]).text(encoded) == encoded
