"""What Python kernels are asked besides the cells of a notebook."""

from __future__ import annotations

_SET_UP_SOURCE = """
import json, sys
for stream in (sys.stdout, sys.stderr):
    stream.flush_interval = 0.05
session = sys.modules["IPython"].get_ipython().kernel.session
pack = session.pack
def pack_any(content):
    try:
        return pack(content)
    except UnicodeEncodeError:
        return json.dumps(content, default=str).encode("ascii")
session.pack = pack_any
"""
SET_UP = f"exec({_SET_UP_SOURCE!r}, {{}})"
"""ipykernel hands on what a cell prints every 0.2 s, too slow for a log that is watched; and it loses the message, with
the end of the cell, when a lone surrogate is printed."""

HIDDEN = (
    "__import__('json').dumps({name: value for name, value in globals().items() "
    "if name in %r and isinstance(value, str)})"
)
"""The values of secret parameters that the notebook gets for itself, from its environment say."""

CHILDREN = "getattr(__import__('sys').modules.get('nbflow.api.session'), 'wait_for_children', bool)() and None"
"""What a run has left to do behind its last cell, where the notebook has submitted runs."""
