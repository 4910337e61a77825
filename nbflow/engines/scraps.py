"""scrapbook's scraps, as results: read from what a cell displayed; scrapbook itself is not needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PREFIX = "application/scrapbook.scrap."
_FORMS = ("image/svg+xml", "image/jpeg", "text/html", "text/markdown", "text/latex", "text/plain")


def find_scrap(data: Mapping[str, Any]) -> tuple[str, Any] | None:
    """What ``glue(name, data)`` glued: a MIME type for each encoder around ``{"name", "data", "encoder"}``."""
    for mime, value in data.items():
        if mime.startswith(_PREFIX) and isinstance(value, Mapping) and "name" in value:
            glued = value.get("data")
            is_frame = value.get("encoder") == "pandas" and isinstance(glued, str)
            return str(value["name"]), {"$parquet": glued} if is_frame else glued
    return None


def find_shown(content: Mapping[str, Any]) -> tuple[str, Any] | None:
    """What ``glue(name, thing, display=True)`` shows: an ordinary display whose metadata has the name."""
    mark = (content.get("metadata") or {}).get("scrapbook")
    if not isinstance(mark, Mapping) or "name" not in mark or not mark.get("display"):
        return None
    data = content.get("data") or {}
    if isinstance(data.get("image/png"), str):
        return str(mark["name"]), {"$image": data["image/png"]}
    return str(mark["name"]), {"$shown": {mime: data[mime] for mime in _FORMS if mime in data}}


def is_glued(result: Any) -> bool:
    """Whether the result of that name is data: what is shown of it as well does not replace it."""
    return result is not None and not (isinstance(result, Mapping) and result.keys() <= {"$shown", "$image"})
