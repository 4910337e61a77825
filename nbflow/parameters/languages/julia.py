"""Julia: ``JuliaTranslator`` lets strings interpolate, writes bytes for characters and lets arrays convert their items."""

from __future__ import annotations

from typing import Any

from papermill.translators import JuliaTranslator

from nbflow.parameters.languages import reserved
from nbflow.parameters.languages.repairs import Repairs, check_text, escape, is_uniform, tag, unicode_escape

_NAMED = {"\\": "\\\\", '"': '\\"', "$": "\\$", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Julia(Repairs, JuliaTranslator):  # type: ignore[misc]
    LANGUAGE = "Julia"
    NAN = "NaN"
    INFINITY = "Inf"
    RESERVED = reserved.JULIA

    @classmethod
    def is_identifier(cls, name: str) -> bool:
        # A name of underscores only can be assigned, but never read.
        return name.isidentifier() and name.strip("_") != ""

    @classmethod
    def translate_escaped_str(cls, str_val: Any) -> str:
        check_text(str_val, "Julia", nul=True)
        return f'"{escape(str_val, _NAMED, unicode_escape)}"'

    @classmethod
    def translate_list(cls, val: Any) -> str:
        """``[1, 2]``; ``Any[1, 2.5]`` where Julia would make all items of one type."""
        items = ", ".join(map(cls.translate, val))
        if isinstance(val, tuple):
            return f"({items},)" if len(val) == 1 else f"({items})"
        # Julia's integers have 64 bits, small or not.
        tags = {tag(item).replace("int32", "int64") for item in val}
        return f"{'Any' if val and not is_uniform(tags) else ''}[{items}]"

    @classmethod
    def translate_typed(cls, val: Any) -> str:
        if isinstance(val, set | frozenset):
            return f"Set({cls.translate_list(sorted(val, key=repr))})"
        return super().translate_typed(val)
