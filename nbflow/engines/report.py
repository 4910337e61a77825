"""The executed notebook as one HTML page, by nbconvert."""

from __future__ import annotations

from pathlib import Path

from nbflow.errors import MissingExtraError
from nbflow.notebooks import write_atomically


def write_report(executed: Path, target: Path) -> Path:
    """Convert *executed*; the page's path. Raises MissingExtraError without nbconvert, OutputError when it can't be written."""
    try:
        from nbconvert import HTMLExporter
    except ImportError:
        raise MissingExtraError("an HTML report", "report") from None
    page, _ = HTMLExporter(template_name="lab").from_filename(str(executed))
    private = (executed.stat().st_mode & 0o077) == 0
    write_atomically(target, [page.encode("utf-8", "xmlcharrefreplace")], private=private)
    return target
