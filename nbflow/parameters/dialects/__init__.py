"""Other ways to declare parameters: Colab forms, Databricks widgets, and the literals of R, Julia, Scala and bash."""

from __future__ import annotations

import ast

from nbflow.parameters.records import Parameter


def read_colab(source: str, parameters: list[Parameter]) -> list[Parameter]:
    """*parameters* of a Python cell, enriched by the cell's ``#@param`` comments."""
    return parameters


def read_dbutils(tree: ast.Module, source: str) -> list[Parameter]:
    """Parameters that a Python cell declares by calls of ``dbutils.widgets``."""
    return []


def read_foreign(source: str, language: str) -> list[Parameter]:
    """Parameters that a cell of another language declares by assigning literals."""
    return []
