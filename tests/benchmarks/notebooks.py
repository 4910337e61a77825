"""The notebooks that are measured."""

from __future__ import annotations

import json
from pathlib import Path

TRIVIAL = ("print(x)",)
LIBRARIES = ("import pandas as pd\nimport matplotlib.pyplot as plt", "print(len(pd.DataFrame({'x': [x]})))")
PRELOAD = ("pandas", "matplotlib.pyplot")


def shows(cells: int, size: int) -> tuple[str, ...]:
    """Cells that each display a value of *size* characters."""
    source = (
        "from IPython.display import display\n"
        f"display({{'text/html': '<i>' + 'x' * {size} + '</i>', 'text/plain': 'x'}}, raw=True)"
    )
    return (source,) * cells


def prints(size: int) -> tuple[str, ...]:
    """One cell that prints *size* characters in lines of 100."""
    return (f"line = 'x' * 99 + '\\n'\nimport sys\nfor _ in range({size} // 100):\n    sys.stdout.write(line)",)


def write_notebook(path: Path, cells: tuple[str, ...]) -> Path:
    """A notebook with a parameter ``x`` and these code cells."""
    sources = [("x = 1", ["parameters"]), *((source, []) for source in cells)]
    content = {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{index}",
                "metadata": {"tags": tags},
                "source": source,
                "execution_count": None,
                "outputs": [],
            }
            for index, (source, tags) in enumerate(sources)
        ],
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
