"""Small notebooks, one cell each, whose output must not depend on how their kernel was started."""

from __future__ import annotations

CORPUS = {
    "arithmetic": "print(sum(range(100)), 2 ** 100, 0.1 + 0.2)",
    "last value": "[1, {'a': (2, 3)}]",
    "main module": "import sys; m = sys.modules['__main__']; print(__name__, m.__name__, hasattr(m, '__file__'), m.__dict__ is globals())",
    "pickle of a class of the notebook": (
        "import pickle\nclass Point:\n    def __init__(self, x): self.x = x\nprint(pickle.loads(pickle.dumps(Point(3))).x, Point.__module__)"
    ),
    "argv and path": "import sys; print(len(sys.argv), sys.argv[1], sys.path[0] == '', [p for p in sys.path if 'nbt-' in p])",
    "interpreter": "import sys; print(sys.executable, sys.flags, sys.version_info, sys._xoptions)",
    "settings of the interpreter": (
        "import sys, gc; print(sys.getrecursionlimit(), sys.getswitchinterval(), gc.isenabled(), gc.get_threshold(), sys.gettrace(), sys.getprofile())"
    ),
    "environment": (
        "import os; print({k: v for k, v in sorted(os.environ.items()) if not k.startswith(('NBFLOW_', 'JPY_', 'PYTEST'))})"
    ),
    "environment of a child": "import subprocess, os\nprint(sorted(subprocess.check_output(['env'], text=True).split('\\n')) == sorted([f'{k}={v}' for k, v in os.environ.items()] + ['']))",
    "folder": "import os; print(os.listdir(), oct(os.umask(0o22)))",
    "signals": "import signal; print({s.name: str(signal.getsignal(s)).split(' at ')[0] for s in signal.Signals}, signal.pthread_sigmask(signal.SIG_BLOCK, []))",
    "session and group": "import os; print(os.getpgrp() == os.getpid() == os.getsid(0))",
    "threads": "import threading; print(threading.active_count(), threading.current_thread().name, threading.main_thread().native_id == __import__('os').getpid())",
    "standard streams": (
        "import sys\nfor f in (sys.__stdin__, sys.__stdout__, sys.__stderr__): print(type(f).__name__, f.name, f.fileno(), f.encoding, f.errors, f.isatty(), f.line_buffering)"
    ),
    "printing": "import sys; print('a', end=''); print('b', file=sys.stderr); print('é ☃ 𝄞'); sys.stdout.write('c')",
    "printing below Python": "import os; os.write(1, b'raw out\\n'); _ = os.system('echo from a shell')",
    "magics": "%precision 3\nprint(get_ipython().run_line_magic('alias_magic', 't timeit'))\n3.14159",
    "shell escape": "!echo hello; pwd | wc -l",
    "top-level await": "import asyncio\nprint(await asyncio.sleep(0, 'awaited'), type(asyncio.get_event_loop_policy()).__name__)",
    "error": "def f(x):\n    return 1 / x\nf(0)",
    "syntax error": "for in",
    "exit": "import sys; sys.exit(3)",
    "warnings": "import warnings\nwarnings.warn('careful')\nwarnings.warn('old', DeprecationWarning)\nwarnings.warn('once more', UserWarning)",
    "deprecation in the cell": "import warnings\ndef old():\n    warnings.warn('gone soon', DeprecationWarning, stacklevel=2)\nold()",
    "logging": "import logging\nlogging.warning('w'); logging.info('i'); logging.getLogger('mine').error('e'); print(logging.getLogger().handlers != [])",
    "display": "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'), {'a': 1})",
    "seeded random": "import random; random.seed(7); print(random.random(), random.sample(range(100), 5))",
    "locale and time zone": "import locale, time; print(locale.setlocale(locale.LC_ALL), locale.getpreferredencoding(), time.tzname, time.timezone)",
    "decimal and fractions": "import decimal, fractions; print(decimal.getcontext(), fractions.Fraction(1, 3))",
    "multiprocessing": "import multiprocessing as mp\nwith mp.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, -2]), mp.parent_process(), mp.current_process().name)",
    "subprocess": "import subprocess, sys; print(subprocess.check_output([sys.executable, '-c', 'print(6 * 7)'], text=True))",
    "threads that print": "import threading\nt = threading.Thread(target=lambda: print('from', threading.current_thread().name.split('-')[0])); t.start(); t.join()",
    "sqlite": "import sqlite3; print(sqlite3.connect(':memory:').execute('select 1 + 1').fetchall())",
    "history and counters": "print(get_ipython().execution_count, In, Out, _ih)",
    "import hooks": "import sys; print([str(x).split(' at ')[0] for x in sys.path_hooks], len(sys.meta_path), sys.dont_write_bytecode)",
    "parent": "import os; print(os.path.exists(f'/proc/{os.getppid()}'), os.environ['JPY_PARENT_PID'] == str(get_ipython().kernel.parent.parent_handle))",
    "configuration": (
        "app = get_ipython().kernel.parent; c = get_ipython().config\n"
        "print(sorted((k, sorted(v)) for k, v in c.items()), c is app.config, c.IPKernelApp.connection_file == app.argv[1] == app.connection_file,\n"
        "      app.extra_args, sorted(app.cli_config), app.parent_handle > 0, get_ipython().history_manager.enabled)"
    ),
    "objects with a configuration": (
        "from traitlets import Int, List\nfrom traitlets.config import Config, Configurable, SingletonConfigurable\n"
        "class A(Configurable): n = Int(1).tag(config=True); many = List([1]).tag(config=True); own = Int(5)\n"
        "class B(A): pass\nclass C(SingletonConfigurable): n = Int().tag(config=True)\n"
        "c = Config(); c.A.n = 2; c.B.n = 3; c.A.many.append(4); c.B.C.n = 6; c.C.n = 7; c.A.own = 9; c.B.m = 0\n"
        "a, b = A(config=c), B(config=c); child, single = C(parent=b), C.instance(config=c, n=8)\n"
        "print(a.n, a.many, a.own, b.n, b.many, child.n, single.n, A.section_names(), B._find_my_config(b, c), A(n=5, config=c).n)\n"
        "b.update_config(Config({'B': {'n': 12}})); a.config = Config({'A': {'n': 13, 'nn': 1}}); print(b.n, a.n)\n"
        "B.__bases__ = (Configurable,); print(B.section_names(), B(config=c).trait_names())"
    ),
    "limits": "import resource; print([resource.getrlimit(getattr(resource, n)) for n in dir(resource) if n.startswith('RLIMIT')])",
    "command line": "print(open('/proc/self/cmdline').read().split(chr(0))[:3], open('/proc/self/comm').read())",
}

LIBRARY_CORPUS = {
    "numpy": "import numpy as np; np.random.seed(3); print(np.random.rand(3), np.arange(6).reshape(2, 3) @ np.ones((3, 2)))",
    "numpy linear algebra": "import numpy as np; a = np.random.default_rng(0).random((200, 200)); print(round(float(np.linalg.det(a / 10) * 1e100), 3), np.allclose(a @ np.linalg.inv(a), np.eye(200)))",
    "pandas": "import pandas as pd; df = pd.DataFrame({'a': [1, 2, None], 'b': list('xyz')}); print(df.describe()); df",
    "pandas strings and groups": "import pandas as pd; s = pd.Series(list('abab'), dtype='str'); print(s.dtype, s.value_counts().to_dict(), pd.to_datetime(['2026-01-01']).tz_localize('Europe/Berlin'))",
    "parquet": "import pandas as pd, io; b = io.BytesIO(); pd.DataFrame({'a': range(1000)}).to_parquet(b); print(pd.read_parquet(io.BytesIO(b.getvalue())).a.sum())",
    "matplotlib settings": "import matplotlib, os; print(matplotlib.rcParams['backend'], matplotlib.rcParams['figure.dpi'], matplotlib.rcParams._get('backend'), os.environ['MPLBACKEND'], matplotlib.get_backend())",
    "figure": "import matplotlib.pyplot as plt\nfig, ax = plt.subplots(); ax.plot([1, 3, 2]); ax.set_title('t'); plt.show()",
    "figure left open": "import matplotlib.pyplot as plt\nplt.plot([3, 1, 2])",
    "inline magic": "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.bar([1, 2], [3, 4]); print(plt.get_fignums(), plt.isinteractive())",
    "agg and a file": "import matplotlib; matplotlib.use('agg')\nimport matplotlib.pyplot as plt\nplt.plot([1]); plt.savefig('x.png'); import os; print(os.path.getsize('x.png'))",
    "warning of a library": "import pandas as pd\npd.Series([1, 2]).to_frame().apply(lambda c: c, axis='columns'); import numpy as np; print(np.log(np.array([0.0, -1.0])))",
    "plot of a frame": "import pandas as pd; pd.Series([1, 3, 2]).plot();",
}
