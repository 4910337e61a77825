"""Nothing of one run is visible in the next, and a forked kernel is like one that was started from nothing."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.installed_fixtures import AddModule
from tests.isolation_corpus import CORPUS, LIBRARY_CORPUS
from tests.kernels_fixtures import close_notebook, open_notebook, run_async, spawner_of_kernels

pytestmark = pytest.mark.kernel
PRELOAD = ("numpy", "pandas", "matplotlib.pyplot")

# Everything issue-worthy that a notebook may do to its process.
POLLUTE = """
import os, sys, random, time, locale, signal, threading, logging, warnings, gc, tempfile, uuid, secrets, decimal, builtins
import asyncio, multiprocessing, atexit, resource, socket, types, linecache, importlib
os.environ['LEAK'] = 'leak'; os.environ['PATH'] = '/leak'; os.environ['TZ'] = 'Asia/Kathmandu'; time.tzset()
os.environ.pop('HOME', None); os.putenv('LEAK_C', '1')
os.makedirs('leak', exist_ok=True); os.chdir('leak'); os.umask(0)
sys.argv[:] = ['leak']; sys.path.insert(0, '/leak'); sys.setrecursionlimit(5000); sys.setswitchinterval(0.5)
sys.modules['leak'] = types.ModuleType('leak'); sys.modules['json'].leak = True; builtins.leak = True
import __main__; __main__.leak = True
random.seed(1); decimal.getcontext().prec = 3
locale.setlocale(locale.LC_ALL, 'C')
leak_file = open('leak.txt', 'w'); leak_socket = socket.socket(); leak_pipe = os.pipe()
for n in (signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
threading.Thread(target=time.sleep, args=(1000,), daemon=True, name='leak').start()
logging.basicConfig(level=1); logging.getLogger('leak').addHandler(logging.NullHandler()); logging.disable(50)
warnings.simplefilter('error'); gc.set_threshold(1); gc.disable()
tempfile.tempdir = '/leak'; asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
resource.setrlimit(resource.RLIMIT_NOFILE, (500, resource.getrlimit(resource.RLIMIT_NOFILE)[1])); os.nice(5)
sys.settrace(lambda *a: None); sys.settrace(None); sys.excepthook = print; sys.unraisablehook = print
import numpy as np, matplotlib, pandas as pd
np.random.seed(1); np.set_printoptions(precision=1); matplotlib.use('agg'); matplotlib.rcParams['figure.dpi'] = 7
pd.set_option('display.max_rows', 1); pd.leak = True
import matplotlib.pyplot as plt; plt.plot([1])
atexit.register(print, 'leak')
secret_leak = 'leak'
"""

# The state of a kernel in words; what differs by chance or by pid is left out.
STATE = """
import os, sys, random, time, locale, signal, threading, logging, warnings, gc, tempfile, decimal, builtins, resource, asyncio, multiprocessing
import importlib
def _links():
    found = []
    for n in os.listdir('/proc/self/fd'):
        try: found.append(os.readlink('/proc/self/fd/' + n).split(':')[0])
        except OSError: pass
    return sorted(x for x in set(found) if 'journal' not in x)
_state = dict(
    environment={k: v for k, v in os.environ.items() if k not in ('JPY_PARENT_PID',) and not k.startswith('NBFLOW_')},
    c_environment=__import__('subprocess').check_output(['/bin/sh', '-c', 'echo $LEAK_C'], text=True),
    cwd=os.path.basename(os.getcwd())[:4], argv=len(sys.argv), path=sys.path, umask=oct(os.umask(0o22)), limits=(sys.getrecursionlimit(), sys.getswitchinterval()),
    main=sorted(k for k in vars(sys.modules['__main__']) if not k.startswith('_')), modules='leak' in sys.modules, patched=hasattr(__import__('json'), 'leak'),
    builtins=sorted(dir(builtins)), decimal=decimal.getcontext().prec, locale=locale.setlocale(locale.LC_ALL), zone=time.tzname, descriptors=_links(),
    handlers={s.name: str(signal.getsignal(s)).split(' at ')[0] for s in signal.Signals}, mask=str(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    threads=sorted(t.name for t in threading.enumerate() if not t.name.startswith('Thread-')), logging=(logging.getLogger().level, logging.getLogger().manager.disable, 'leak' in logging.root.manager.loggerDict),
    root_handlers=len(logging.getLogger().handlers), filters=len(warnings.filters), collector=(gc.isenabled(), gc.get_threshold()), temporary=tempfile.gettempdir(),
    policy=type(asyncio.get_event_loop_policy()).__name__, files=resource.getrlimit(resource.RLIMIT_NOFILE), nice=os.nice(0),
    hooks=(sys.excepthook.__qualname__, sys.unraisablehook.__qualname__), children=len(multiprocessing.active_children()), count=get_ipython().execution_count,
    inputs=get_ipython().user_ns['In'], names=sorted(k for k in get_ipython().user_ns if 'leak' in k),
)
import numpy as np, matplotlib, pandas as pd
_state.update(print_options=np.get_printoptions()['precision'], backend=matplotlib.rcParams._get('backend'), dpi=matplotlib.rcParams['figure.dpi'], rows=pd.get_option('display.max_rows'), frame=hasattr(pd, 'leak'))
import matplotlib.pyplot as plt
_state.update(figures=plt.get_fignums())
"""

# Drawn anew in every process.
DRAW = """
import random, uuid, secrets, tempfile, multiprocessing, os
import numpy as np, sys
assert 'nbflow_test_dice' in sys.modules
import nbflow_test_dice as dice
_drawn = dict(library=dice.old.random(), library_generator=float(dice.new.random()), random=random.random(), numpy=float(np.random.rand()), generator=float(np.random.default_rng().random()), uuid1=str(uuid.uuid1()), uuid4=str(uuid.uuid4()),
    secret=secrets.token_hex(), name=next(tempfile._get_candidate_names()), key=multiprocessing.current_process().authkey.hex(), pid=os.getpid(), session=get_ipython().kernel.session.session)
"""


@pytest.mark.parametrize("preload", [(), PRELOAD], ids=["bare", "preload"])
def test_nothing_of_a_run_is_left_for_the_next(preload: tuple[str, ...]) -> None:
    folder = tempfile.mkdtemp(prefix="nbt-")

    async def look(pollute: bool) -> tuple[bool, dict[str, Any]]:
        notebook = await open_notebook(cwd=folder)
        forked = notebook.child.forked
        if pollute:
            await notebook.run(POLLUTE)
            # Warnings as errors, among others, leave the kernel unable to shut down, however it was started.
            await notebook.manager.shutdown_kernel(now=True)
            notebook.client.stop_channels()
            return forked, {}
        await notebook.run(STATE)
        state = await notebook.ask("_state")
        await close_notebook(notebook)
        return forked, state

    with spawner_of_kernels(fork=False):
        ordinary = run_async(look(False))
    with spawner_of_kernels(preload=preload):
        first = run_async(look(False))
        polluted = run_async(look(True))
        second = run_async(look(False))
    assert (ordinary[0], first[0], polluted[0], second[0]) == (False, True, True, True)
    assert second[1] == first[1]
    expected = dict(ordinary[1])
    if preload:
        # numpy's own filters are there before it is imported.
        expected["filters"] = second[1]["filters"]
    assert second[1] == expected


def test_what_is_drawn_by_chance_differs_between_kernels(installed: AddModule) -> None:
    async def draw() -> dict[str, Any]:
        notebook = await open_notebook()
        assert notebook.child.forked
        await notebook.run(DRAW)
        drawn: dict[str, Any] = await notebook.ask("_drawn")
        await close_notebook(notebook)
        return drawn

    installed("nbflow_test_dice", "import random, numpy\nold = random.Random()\nnew = numpy.random.default_rng()")
    with spawner_of_kernels(preload=(*PRELOAD, "nbflow_test_dice")):
        draws = [run_async(draw()) for _ in range(3)]
    for name in draws[0]:
        assert len({draw[name] for draw in draws}) == 3, name


OUTPUTS = ("stream", "error", "execute_result", "display_data", "update_display_data")
VOLATILE = re.compile(r"0x[0-9a-f]+|\d+\.\d+s|nbt-\w+|/tmp/ipykernel_\d+/\d+\.py|<memory at .*?>")


def normalize(outputs: list[Any]) -> list[Any]:
    """Outputs without what differs from one process to the next."""
    text: list[Any] = []
    for output in outputs:
        plain = VOLATILE.sub("~", repr(output))
        text.append(plain)
    return text


async def execute(cells: dict[str, str]) -> dict[str, Any]:
    """Each cell in a kernel of its own, with its reply and outputs; three at once."""
    gate = asyncio.Semaphore(3)

    async def one(name: str, code: str) -> tuple[str, Any]:
        async with gate:
            with tempfile.TemporaryDirectory(prefix="nbt-") as folder:
                notebook = await open_notebook(cwd=folder)
                content, published = await notebook.execute(code)
                outputs = [(each["msg_type"], each["content"]) for each in published if each["msg_type"] in OUTPUTS]
                facts = (notebook.child.forked, content["status"], content.get("evalue"), normalize(merge(outputs)))
                await close_notebook(notebook)
                return name, facts

    return dict(await asyncio.gather(*(one(name, code) for name, code in cells.items())))


def merge(outputs: list[Any]) -> list[Any]:
    """One text for each stream: how it was cut is a matter of time."""
    streams = {
        name: "".join(c["text"] for k, c in outputs if k == "stream" and c["name"] == name)
        for name in ("stdout", "stderr")
    }
    return [streams, *(each for each in outputs if each[0] != "stream")]


@pytest.mark.parametrize("preload", [(), PRELOAD], ids=["bare", "preload"])
def test_outputs_are_those_of_the_ordinary_launcher(preload: tuple[str, ...]) -> None:
    cells = {**(LIBRARY_CORPUS if preload else CORPUS)}
    with spawner_of_kernels(fork=False):
        ordinary = run_async(execute(cells))
    with spawner_of_kernels(preload=preload):
        forked = run_async(execute(cells))
    assert all(facts[0] for facts in forked.values())
    assert not any(facts[0] for facts in ordinary.values())
    for name in cells:
        assert forked[name][1:] == ordinary[name][1:], name


@pytest.mark.parametrize(
    ("variables", "code", "wanted"),
    [
        ({"TZ": "Asia/Kathmandu"}, "__import__('time').tzname[0]", "+0545"),
        (
            {"MPLBACKEND": "svg"},
            "(__import__('matplotlib').rcParams['backend'], __import__('os').environ['MPLBACKEND'])",
            ["svg", "svg"],
        ),
        ({"OMP_NUM_THREADS": "1"}, "__import__('os').environ['OMP_NUM_THREADS']", "1"),
        ({"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}, "__import__('locale').setlocale(0)", "C.UTF-8"),
        ({"PYTHONHASHSEED": "0"}, "hash('seed')", None),
    ],
    ids=["time zone", "backend", "threads", "locale", "hash seed"],
)
def test_a_kernel_with_another_environment_has_it_from_the_start(
    variables: dict[str, str], code: str, wanted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask() -> tuple[bool, Any]:
        notebook = await open_notebook(env={**os.environ, **variables})
        answer = (notebook.child.forked, await notebook.ask(code))
        await close_notebook(notebook)
        return answer

    with spawner_of_kernels(fork=False):
        _, ordinary = run_async(ask())
    with spawner_of_kernels(preload=("matplotlib",)):
        forked, answer = run_async(ask())
    assert forked
    assert answer == ordinary
    assert wanted is None or answer == wanted


def test_files_objects_and_exit_functions_of_a_notebook_are_finished_at_its_end(tmp_path: Path) -> None:
    code = (
        "import atexit, threading, time\n"
        "left_open = open('open.txt', 'w'); _ = left_open.write('flushed')\n"
        "class Last:\n    def __init__(self): self.me = self; self.open = open\n"
        "    def __del__(self): self.open('deleted.txt', 'w').close()\n"
        "in_a_cycle = Last()\n"
        "atexit.register(lambda: open('exit.txt', 'w').write('exit'))\n"
        "def late():\n    time.sleep(0.3); open('thread.txt', 'w').write('thread')\n"
        "threading.Thread(target=late).start()"
    )

    async def run() -> int:
        notebook = await open_notebook(cwd=str(tmp_path))
        assert notebook.child.forked
        await notebook.run(code)
        return await close_notebook(notebook)

    with spawner_of_kernels():
        assert run_async(run()) == 0
    assert {path.name: path.read_text() for path in tmp_path.glob("*.txt")} == {
        "open.txt": "flushed",
        "deleted.txt": "",
        "exit.txt": "exit",
        "thread.txt": "thread",
    }
