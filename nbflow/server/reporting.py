"""``python -m nbflow.server.reporting NOTEBOOK PAGE``: one conversion, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path


def main(executed: str, page: str) -> int:
    """Write the page, which loads nothing from anywhere."""
    from nbconvert import HTMLExporter

    from nbflow.notebooks import write_atomically

    exporter = HTMLExporter(template_name="lab", mathjax_url="", require_js_url="", jquery_url="", mermaid_js_url="")
    text, _ = exporter.from_filename(executed)
    write_atomically(Path(page), [text.encode("utf-8", "xmlcharrefreplace")], private=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
