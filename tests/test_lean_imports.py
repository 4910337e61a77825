"""What runners and the fork server do not import, and what they give back before they are forked."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

IMPORTS = """
import json, sys
from nbflow.engines.postponed import import_papermill
import_papermill()
rare = [name for name in ("pyarrow", "pyarrow.fs", "rfc3987_syntax", "numpy") if name in sys.modules]
import jsonschema
checker = jsonschema.FormatChecker()
judged = [checker.conforms(text, "iri") for text in ("http://example.org/résumé", "no iri at all")]
import papermill.iorw
try:
    papermill.iorw.HadoopFileSystem("localhost", 1)
    error = ""
except Exception as problem:
    error = type(problem).__module__
print(json.dumps([rare, judged, [name in sys.modules for name in ("rfc3987_syntax", "pyarrow.fs")], error]))
"""

FILL = """
import ctypes, json, os, sys
os.dup2(os.memfd_create("output"), 2)
from nbflow.kernels import heap

def measure():
    library = heap.find_libc()
    library.mallinfo2.restype = heap._Usage
    usage = library.mallinfo2()
    begin = os.fstat(2).st_size
    sys._debugmallocstats()
    table = os.pread(2, os.fstat(2).st_size - begin, begin)
    return usage.fordblks - usage.keepcost, sum(int(s) * int(n) for s, n in heap._OBJECT.findall(table) if int(s) > 48)

pieces = [bytes(size) for size in range(40, 4000, 7) for _ in range(20)]
del pieces[::2]
before = measure()
kept = heap.fill_holes()
print(json.dumps([before, measure()]))
"""


def run(code: str) -> Any:
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def test_what_is_rarely_needed_is_imported_when_it_is_called_for() -> None:
    rare, judged, imported, error = run(IMPORTS)
    assert rare == []
    assert judged == [True, False]
    assert imported == [True, True]
    assert error == "builtins"  # the library is asked, and finds no Hadoop


def test_what_is_imported_already_is_left_alone() -> None:
    code = "import papermill.iorw, pyarrow.fs, rfc3987_syntax; " + IMPORTS
    assert run(code)[0] == ["pyarrow", "pyarrow.fs", "rfc3987_syntax", "numpy"]


def test_holes_in_the_heap_are_filled() -> None:
    (glibc_before, python_before), (glibc, python) = run(FILL)
    assert glibc < glibc_before / 2
    assert python < python_before / 2
