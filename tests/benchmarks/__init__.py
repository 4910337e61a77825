"""How fast nbflow is, side by side with papermill: ``python -m tests.benchmarks`` prints the table.

No test asserts a time. Everything is measured in one go, in turns, so that a busy machine is busy for all.
"""
