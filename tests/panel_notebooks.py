"""The notebooks that the panel is tried with in a browser."""

from __future__ import annotations

REPORT = """\
from datetime import date
from typing import Annotated, Literal
from nbflow import Range, Secret

region: Literal["EU", "US"] = "EU"  # sales region
rows: Annotated[int, Range(1, 100)] = 10  # how many rows to show
day: date = date(2026, 1, 31)  # the day to look at
note: str = ""  # goes on top of the report
hold: bool = False  # wait for the file named "go"
token: Secret = ""  # of the service"""

REPORT_CELLS = (
    'print("report for", region, "on", day, "with", rows, "rows")\nassert not token or len(token) == 18',
    """from pathlib import Path
import time

print("waiting" if hold else "not waiting", flush=True)
while hold and not Path("go").exists():
    time.sleep(0.05)""",
    """import nbflow
import pandas as pd

nbflow.record("rows", rows)
nbflow.record("note", note)
pd.DataFrame({"region": [region] * 3, "sold": [3, 5, 8]})""",
    'print("the end")',
)

THIRTY = '''\
# All types there are
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import pandas as pd
from nbflow import Choice, Pattern, Range, Secret

flag: bool = True  # a checkbox
sure: bool  # a choice that has to be made
count: int = 3  # a whole number
share: float = 0.25  # a number
percent: Annotated[int, Range(0, 100)] = 40  # a number with both its limits
ratio: Annotated[float, Range(0, 1)] = 0.5  # a fraction with both its limits
price: Decimal = Decimal("19.90")  # an exact number
big: int = 123456789012345678901234567890  # larger than a double holds
name: str = "Ada"  # a line of text
needed: str  # a text without a default
code: Annotated[str, Pattern("[A-Z]{3}")] = "ABC"  # three capital letters
story: str = """Once upon a time
there were two lines."""  # several lines of text
colour: Literal["red", "green", "blue"] = "green"  # one of three
level: Literal[1, 2, 3] = 2  # one of three numbers
day: date = date(2026, 3, 29)  # a day
maybe: date | None = None  # a day, or none
moment: datetime = datetime(2026, 3, 28, 12, 30)  # a moment on a clock
aware: datetime = datetime(2026, 3, 28, 12, 30, tzinfo=timezone.utc)  # a moment in a zone
clock: time = time(8, 15)  # a time of day
wait: timedelta = timedelta(hours=1, minutes=30)  # a duration
since: datetime = datetime.now() - timedelta(days=1)  # computed
place: Path = Path("report.ipynb")  # a file
key: UUID = UUID("12345678-1234-5678-1234-567812345678")  # an identifier
stamp: pd.Timestamp = pd.Timestamp("2026-01-31")  # of pandas
span: pd.Timedelta = pd.Timedelta("1 day")  # of pandas too
words: list[str] = ["one", "two"]  # texts
numbers: list[int] = [1, 2, 3]  # numbers
matrix: list[list[float]] = [[1.0, 0.0], [0.0, 1.0]]  # numbers in rows
weights: dict[str, float] = {"a": 1.5}  # a number for each word
limit: int | None = None  # a number, or none
token: Secret = ""  # a secret'''

HOSTILE_TEXT = "</script></style></textarea><img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"

HOSTILE = f'''\
from typing import Annotated, Literal
from nbflow import Pattern

text: str = "{HOSTILE_TEXT}"  # <img src=x onerror="window.hacked=2"><b>bold</b> javascript:alert(1)
pick: Literal["<script>window.hacked=3</script>", "a&amp;b"] = "a&amp;b"  # "quoted' `ticks`
code: Annotated[str, Pattern("<svg/onload=window.hacked=4>|x")] = "x"  # {{}}'''

HOSTILE_CELLS = (
    "print(text)\nprint('<script>window.hacked=5</script>', '\\x1b[31mred\\x1b[0m', '\\u202eright to left')",
    """import nbflow
from IPython.display import HTML, Javascript, display

nbflow.record("text", text)
nbflow.record("<img src=x onerror=window.hacked=6>", "<img src=x onerror=window.hacked=7>")
display(Javascript("window.hacked = 8; parent.hacked = 8; top.hacked = 8"))
display(HTML("<script>parent.hacked = 9; top.hacked = 9; top.location = 'about:blank'</script><p>shown safely</p>"))""",
    "raise ValueError('<img src=x onerror=window.hacked=10>' + text)",
)

MANY_LINES = "lines: int = 20_000  # how many to print\npause: float = 0.0  # seconds between a hundred"
MANY_LINES_CELLS = (
    """import time

for number in range(lines):
    print(f"line {number} of {lines}: the quick brown fox jumps over the lazy dog")
    if pause and number % 100 == 0:
        time.sleep(pause)""",
)
