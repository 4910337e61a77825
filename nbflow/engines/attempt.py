"""The runner of one attempt: ``python -m nbflow.engines.attempt FOLDER``, with its spec on standard input.

It executes the notebook by papermill and nbflow's engine, appends what happens to the attempt's journal, keeps the
executed notebook saved, and writes its end record last. It answers to nobody and needs no database.
"""

from __future__ import annotations

import errno
import gc
import logging
import os
import sys
import time
import traceback
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from nbflow.engines.claim import output_claimed
from nbflow.engines.declared import render_name
from nbflow.engines.journal import Journal
from nbflow.engines.masking import Mask
from nbflow.engines.postponed import import_papermill
from nbflow.engines.session import Ending, Session
from nbflow.engines.spec import AttemptSpec
from nbflow.engines.stderr import MaskedErrors
from nbflow.errors import ConflictError, KernelError, NbflowError, OutputError, UsageError
from nbflow.events import EventKind
from nbflow.lifecycle import AttemptState, Failure, FailureKind
from nbflow.notebooks.saving import say_unwritable

REFUSED = 75
"""Exit status when the attempt has begun before: EX_TEMPFAIL."""
UNSAVED = 74
"""Exit status when the end record could not be written: EX_IOERR."""
EXECUTED_NAME = "executed.ipynb"
CONTEXT_NAME = "run.json"
ERROR_TAG = "papermill-error-cell-tag"


def main(argv: list[str]) -> int:
    """Run the attempt in the folder *argv* names; the exit status says only whether an end record was written."""
    folder = Path(argv[0])
    stream = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115 - unbuffered: what follows the spec is the tie
    spec = AttemptSpec.decode(_Unbuffered(stream))  # type: ignore[arg-type]
    try:
        journal = Journal(folder)
    except ConflictError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except OSError as error:
        print(say_unwritable(folder, error), file=sys.stderr)
        return UNSAVED
    _use_warm_lookups()
    with journal:
        started = time.monotonic()
        session = Session(connection_folder=folder, listener=journal, mask=Mask(spec.secrets.values()))
        output: Path | None = None
        try:
            ending, output = _execute(spec, folder, journal, session)
        except NbflowError as error:
            ending = _fail_to_begin(error)
        except OSError as error:
            failure = Failure(kind=_judge(error), message=say_unwritable(error.filename or folder, error))
            ending = Ending(state=AttemptState.FAILED, failure=failure)
        except Exception as error:
            trace = session.mask.text(traceback.format_exc())
            logging.getLogger(__name__).error("the attempt could not be carried out\n%s", trace)
            failure = Failure(kind=FailureKind.SETUP, message=f"{type(error).__name__}: {error}"[:500])
            ending = Ending(state=AttemptState.FAILED, failure=failure)
        is_written = _write_end(journal, session, ending, output, time.monotonic() - started)
    return 0 if is_written else UNSAVED


def _judge(error: OSError) -> FailureKind:
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return FailureKind.SAVE if is_full else FailureKind.SETUP


def _use_warm_lookups() -> None:
    """In a fork of the fork server some things need not be looked up once more."""
    warm: Any = sys.modules.get("nbflow.engines.warm")
    if warm is not None:
        warm.WarmFactory.instance()
        warm.read_dates_sooner()
    # Most of what a runner makes it needs to its end: looking for garbage every 700 objects finds none.
    gc.set_threshold(20_000, 20, 20)


class _Unbuffered:
    """Reads a pipe to the letter: a buffered reader would swallow, or wait for, what follows the spec."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._rest = b""

    def readline(self) -> bytes:
        while b"\n" not in self._rest:
            block = self._stream.read(65536)
            if not block:
                raise EOFError("the spec of the attempt did not arrive")
            self._rest += block
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def read(self, size: int) -> bytes:
        pieces = [self._rest]
        missing = size - len(self._rest)
        while missing > 0:
            block = self._stream.read(min(missing, 1 << 20))
            if not block:
                raise EOFError("the notebook of the attempt did not arrive")
            pieces.append(block)
            missing -= len(block)
        return b"".join(pieces)


def _execute(spec: AttemptSpec, folder: Path, journal: Journal, session: Session) -> tuple[Ending, Path]:
    # papermill loads our engine while it is imported itself, so it has to be the first of the two.
    import_papermill()

    from nbflow.engines.papermill import make_saver
    from nbflow.notebooks import to_nbformat

    output = Path(spec.options.output) if spec.options.output else folder / EXECUTED_NAME
    node = to_nbformat(spec.notebook)
    node.cells = [cell for cell in node.cells if ERROR_TAG not in cell.metadata.get("tags", [])]
    _inject(spec, node, session)
    _describe(node, spec)
    _set_limits(spec, folder, session)
    _write_context(spec, folder)
    cells = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in node.cells)
    kernel = spec.options.kernel or node.metadata.get("kernelspec", {}).get("name") or "python3"
    journal.add(EventKind.STARTED, {"pid": os.getpid(), "cells": cells, "kernel": kernel})
    journal.flush()
    session.is_last = True
    session.make_saver = partial(make_saver, str(output), private=session.has_secrets)
    with ExitStack() as stack:
        if spec.options.output:
            stack.enter_context(output_claimed(output))
        if session.has_secrets:
            stack.enter_context(MaskedErrors(session.mask))
        _run_papermill(spec, node, kernel, output, session)
    ending = session.ending
    if ending is None:
        raise RuntimeError("the execution ended without an ending")
    if not session.is_saved:
        ending = _fail_to_save(session, ending, str(session.saver.error))
    elif spec.options.report:
        _report(session, output)
    return ending, output


def _report(session: Session, output: Path) -> None:
    """A report that can't be made is told in the log; it is no failure of the run."""
    from nbflow.engines.report import write_report

    try:
        write_report(output, output.with_suffix(".html"))
    except Exception as error:
        message = f"the report could not be made: {error}"
        session.listener.add(EventKind.LOG, {"stream": "nbflow", "lines": [message], "cell": None})


def _fail_to_save(session: Session, ending: Ending, message: str) -> Ending:
    """What could not be saved is told in the log; it is the run's failure where nothing else is."""
    session.listener.add(EventKind.LOG, {"stream": "nbflow", "lines": [message], "cell": None})
    if ending.state is not AttemptState.SUCCEEDED:
        return ending
    return Ending(state=AttemptState.FAILED, failure=Failure(kind=FailureKind.SAVE, message=message))


def _inject(spec: AttemptSpec, node: Any, session: Session) -> None:
    from nbflow.notebooks import insert_parameters

    injection = spec.injection
    insert_parameters(node, injection.source, report_mode=spec.options.report_mode)
    session.declaring = _find_declaring(node)
    session.declared_until = max(session.declaring, default=None)
    session.has_secrets = injection.has_secrets
    session.secrets_source = injection.secrets_source
    session.hidden = injection.hidden
    session.readback = injection.readback
    if "{" in spec.name:
        session.render_name = partial(render_name, spec.name, spec.notebook)


def _describe(node: Any, spec: AttemptSpec) -> None:
    from papermill.version import version

    from nbflow.parameters.values import strict_form

    node.metadata["papermill"] = {
        "default_parameters": {},
        "environment_variables": {},
        "parameters": strict_form(dict(spec.parameters)),
        "version": version,
    }
    node.metadata["nbflow"] = {"run_id": spec.run_id, "attempt": spec.attempt, "flow": spec.flow, "name": spec.name}


def _find_declaring(node: Any) -> list[int]:
    """The cell tagged ``parameters`` and the injected one below it, as far as they are there."""
    found = []
    for wanted in ("parameters", "injected-parameters"):
        tagged = (
            i
            for i, cell in enumerate(node.cells)
            if cell.cell_type == "code" and wanted in cell.metadata.get("tags", [])
        )
        found += [index for index in [next(tagged, None)] if index is not None]
    return found


def _set_limits(spec: AttemptSpec, folder: Path, session: Session) -> None:
    session.start_timeout = spec.options.start_timeout
    session.timeout = spec.options.timeout
    session.cell_timeout = spec.options.cell_timeout
    session.grace = spec.grace
    session.output_limit = spec.output_limit
    session.log_path = folder / "events.jsonl"
    session.tied_descriptor = 0 if spec.tied else None
    session.environment = {
        **spec.environment,
        "NBFLOW_RUN_ID": spec.run_id,
        "NBFLOW_RUN_CONTEXT": str(folder / CONTEXT_NAME),
    }


def _write_context(spec: AttemptSpec, folder: Path) -> None:
    """What ``nbflow.current_run()`` answers with inside the notebook."""
    from nbflow.parameters.values import dumps_exact

    context = {
        "id": spec.run_id,
        "name": spec.name,
        "flow": spec.flow,
        "attempt": spec.attempt,
        "parameters": spec.parameters,
        "tags": spec.tags,
        "parent_id": spec.parent_id,
        "root_id": spec.root_id,
        "depth": spec.depth,
        "scheduled_time": spec.scheduled_time.isoformat() if spec.scheduled_time else None,
    }
    descriptor = os.open(folder / CONTEXT_NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(dumps_exact(context))


def _run_papermill(spec: AttemptSpec, node: Any, kernel: str, output: Path, session: Session) -> None:
    """What ``papermill.execute_notebook`` does, but for its reading and writing: these would cost a second copy of the
    whole notebook in memory, and validate it four times."""
    from papermill.engines import papermill_engines
    from papermill.execute import prepare_notebook_metadata

    from nbflow.engines.papermill import NbflowEngine

    papermill_engines.register("nbflow", NbflowEngine)
    for cell in node.cells:
        cell.metadata.setdefault("tags", [])
    prepare_notebook_metadata(node, spec.source_path, str(output), spec.options.report_mode)
    os.chdir(_find_cwd(spec))
    papermill_engines.execute_notebook_with_engine(
        "nbflow", node, kernel_name=kernel, progress_bar=False, nbflow_session=session
    )


def _find_cwd(spec: AttemptSpec) -> str:
    """The notebook's own folder, as in Jupyter, unless the caller wants another one."""
    if spec.options.cwd:
        if not os.path.isdir(spec.options.cwd):
            raise UsageError(f"working directory {spec.options.cwd}: no such folder")
        return spec.options.cwd
    parent = os.path.dirname(spec.source_path)
    return parent if parent and os.path.isdir(parent) else os.getcwd()


def _fail_to_begin(error: NbflowError) -> Ending:
    kind = FailureKind.KERNEL_START if isinstance(error, KernelError) else FailureKind.SETUP
    if isinstance(error, OutputError):
        kind = FailureKind.SAVE
    state = AttemptState.LOST if kind is FailureKind.KERNEL_START else AttemptState.FAILED
    return Ending(state=state, failure=Failure(kind=kind, message=str(error)))


def _mask(session: Session, failure: Failure) -> dict[str, Any]:
    """The failure as the journal has it. The words of its kind are ours: a short secret may be a part of one."""
    masked: dict[str, Any] = session.mask.json(failure.to_json())
    return {**masked, "kind": failure.kind.value, "signal": failure.signal}


def _write_end(journal: Journal, session: Session, ending: Ending, output: Path | None, duration: float) -> bool:
    journal.flush()
    if journal.error is not None:
        message = f"{say_unwritable(journal.path, journal.error)} ({journal.lost} events are missing)"
        ending = _fail_to_save(session, ending, message)
    data = {
        "state": ending.state.value,
        "failure": _mask(session, ending.failure) if ending.failure else None,
        "duration": duration,
        "log_lines": session.log_lines,
        "last_line": session.last_line,
        "output_path": str(output) if output is not None and output.exists() else None,
    }
    journal.add(EventKind.ENDED, data)
    return journal.sync()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        status = main(sys.argv[1:])
        # All is written and the kernel is gone: the interpreter's teardown would only cost time.
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)
