"""The command line: one module a command, each with one function that returns an exit code.

``main`` is the entry point and the only place where an error becomes a message and an exit code. The groups ``runs``,
``flows`` and ``kv`` are folders of commands.
"""
