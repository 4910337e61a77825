"""``nbflow.kv``: the key-value pairs of the current project."""

from __future__ import annotations

from nbflow.api.inside import find_secrets
from nbflow.api.session import get_project
from nbflow.project import KeyValues

kv = KeyValues(lambda: get_project().store, find_secrets)
"""Small JSON values that outlive runs, each operation one transaction: ``get``, ``set``, ``update``, ``delete``, ``list``.

A pair that would hold a secret of the run is refused.
"""
