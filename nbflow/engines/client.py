"""The client: executes the cells of a notebook in its kernel and sees whatever happens to it.

It is an nbclient ``NotebookClient`` with its own loop: every message of the kernel is read as it comes, whichever
cell it belongs to, and what is waited for comes to an end (:class:`nbflow.engines.exchange.Exchange`). nbclient's
handling of outputs, display ids, Output widgets and widget state is kept.
"""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete, CellExecutionError
from nbformat import from_dict

from nbflow.engines.endings import describe_death, describe_error, describe_stop, describe_timeout
from nbflow.engines.exchange import Exchange, receive
from nbflow.engines.kernel import Kernel, KernelDied
from nbflow.engines.narrator import Narrator, strip_ansi
from nbflow.engines.outputs import PrintedText, mask_output
from nbflow.engines.questions import ask, ask_for_children, ask_hidden, ask_set_up, read_answer
from nbflow.engines.session import Ending, Session
from nbflow.engines.stopping import Stop, StopWatch
from nbflow.events import EventKind
from nbflow.lifecycle import AttemptState, FailureKind

FLUSH_INTERVAL = 0.05
"""Seconds between two flushes of the log: a child's line is on its parent's screen well within 150 ms."""
IOPUB_DEADLINE = 10.0
"""Seconds that outputs may lag behind the reply to their cell."""


class FlowClient(NotebookClient):  # type: ignore[misc]
    """Executes a notebook for a :class:`Session`, whose ``ending`` then tells how it went."""

    def __init__(self, nb_man: Any, session: Session, **traits: Any) -> None:
        super().__init__(nb_man.nb, **traits)
        self.nb_man = nb_man
        self.session = session
        self.narrator = Narrator(session)
        self.kernel: Kernel | None = None
        self._cell_of: dict[str, int] = {}
        self._exchange: Exchange | None = None
        self._printed: dict[int, PrintedText] = {}
        self._deadline: float | None = None
        self._reply: dict[str, Any] = {}
        self._is_set_up = False
        self._handed_on = 0.0
        self._number = 0
        self._last = max(
            (index for index, cell in enumerate(self.nb.cells) if self._is_for_executing(cell)), default=-1
        )

    # -- the whole notebook ---------------------------------------------------------------------------------------

    async def async_execute(self, reset_kc: bool = False, **_: Any) -> Any:
        """Execute every cell; never raises for what the notebook does. Raises KernelError when the kernel can't start."""
        self.reset_execution_trackers()
        loop = asyncio.get_running_loop()
        watch = StopWatch(self.session.tied_descriptor)
        session = self.session
        kernel = Kernel(
            self.kernel_name or self.nb.metadata.get("kernelspec", {}).get("name") or "python3",
            connection_folder=session.connection_folder,
            environment=session.environment,
            say=self.narrator.note,
        )
        self.kernel = kernel
        self._exchange = exchange = Exchange(kernel, watch)
        try:
            try:
                info = await watch.or_stop(kernel.start(timeout=session.start_timeout))
            except Stop as stop:
                session.ending = describe_stop(stop.reason)
                return self.nb
            self.km, self.kc = kernel.manager, kernel.client
            self.nb.metadata["language_info"] = info["language_info"]
            if session.timeout:
                self._deadline = loop.time() + session.timeout
            pumps = [loop.create_task(work) for work in (self._pump_iopub(), exchange.pump(), self._flush_often())]
            try:
                await self._execute_cells()
            finally:
                for pump in pumps:
                    pump.cancel()
                self.set_widgets_metadata()
        finally:
            try:
                if session.ending is not None:
                    await kernel.ask_to_end()
                self.nb_man.finish(session)  # the kernel ends meanwhile
            finally:
                await kernel.stop(now=session.ending is None)
                if not session.is_last:
                    watch.end()
                self.km = self.kc = None
        return self.nb

    execute = run_sync(async_execute)

    async def _execute_cells(self) -> None:
        session = self.session
        try:
            self._is_set_up = not self._speaks_python()
            for index, cell in enumerate(self.nb.cells):
                if not await self._visit_cell(cell, index):
                    return
                if index == session.declared_until:
                    await self._settle_values()
            session.ending = Ending(state=AttemptState.SUCCEEDED)
        except KernelDied as death:
            session.ending = describe_death(death)
        except Stop as stop:
            session.ending = describe_stop(stop.reason)
        except TimeoutError:
            session.ending = describe_timeout(FailureKind.RUN_TIMEOUT, session.timeout or 0.0)

    async def _visit_cell(self, cell: Any, index: int) -> bool:
        """Execute one cell and settle its record; whether to go on with the next."""
        session, manager = self.session, self.nb_man
        if cell.cell_type != "code" or not cell.source.strip():
            manager.cell_passed(cell, manager.COMPLETED)
            return True
        self._number += 1
        if self.skip_cells_with_tag in cell.metadata.get("tags", []):
            manager.cell_passed(cell, manager.SKIPPED)
            session.listener.add(
                EventKind.CELL_FINISHED, {"index": index, "number": self._number, "status": "skipped", "duration": 0.0}
            )
            return True
        if not self._is_set_up and index not in session.declaring:
            await self._execute_silently("", {"set_up": ask_set_up()})
            self._is_set_up = True
        manager.cell_start(cell, index)
        title = describe_cell(cell)
        session.listener.add(
            EventKind.CELL_STARTED, {"index": index, "number": self._number, "title": session.mask.text(title)}
        )
        session.saver.mark_dirty(index)
        session.saver.request()
        session.ending = None
        try:
            go_on = await self._execute_one(cell, index)
        finally:
            self._settle_printed(index, final=True)
            self.narrator.finish_lines()
            ending: Ending | None = session.ending
            if ending is not None and ending.failure is not None:
                manager.cell_exception(cell, index)
            manager.cell_complete(cell, index)
            timing = cell.metadata.papermill
            data = {"index": index, "number": self._number, "status": timing["status"], "duration": timing["duration"]}
            session.listener.add(EventKind.CELL_FINISHED, data)
            session.saver.mark_dirty(index)
            session.saver.request()
        return go_on

    def _is_for_executing(self, cell: Any) -> bool:
        skipped = self.skip_cells_with_tag in cell.metadata.get("tags", [])
        return cell.cell_type == "code" and bool(cell.source.strip()) and not skipped

    async def _execute_one(self, cell: Any, index: int) -> bool:
        """Send the cell and wait for its end, whatever that is; whether to go on."""
        session, kernel, exchange = self.session, self.kernel, self._exchange
        assert kernel is not None
        assert exchange is not None
        allows = self.allow_errors or "raises-exception" in cell.metadata.get("tags", [])
        cell.outputs = []
        self.clear_before_next_output = False
        if self.record_timing:
            cell.metadata["execution"] = {}
        self.code_cells_executed += 1
        message = kernel.client.execute(
            cell.source, store_history=True, stop_on_error=not allows, user_expressions=self._find_questions(index)
        )
        self._cell_of[message] = index
        try:
            reply = await exchange.wait_for_reply(message, self._limit(cell))
        except KernelDied as death:
            session.ending = describe_death(death, self.code_cells_executed, index)
        except Stop as stop:
            await exchange.interrupt(message, session.grace)
            session.ending = describe_stop(stop.reason, self.code_cells_executed, index)
        except TimeoutError:
            await exchange.interrupt(message, session.grace)
            kind, limit = FailureKind.CELL_TIMEOUT, self._cell_limit(cell)
            if limit is None or (self._deadline is not None and asyncio.get_running_loop().time() >= self._deadline):
                kind, limit = FailureKind.RUN_TIMEOUT, session.timeout
            session.ending = describe_timeout(kind, limit or 0.0, self.code_cells_executed, index)
        else:
            if not await exchange.wait_for_idle(message, self.iopub_timeout or IOPUB_DEADLINE):
                self.narrator.note("the kernel's outputs did not end with its reply: some may be missing", index)
            return self._judge(cell, index, reply["content"], allows)
        return False

    def _judge(self, cell: Any, index: int, reply: dict[str, Any], allows: bool) -> bool:
        """What the reply to a cell means for the run; whether to go on."""
        self._reply = reply
        self._is_set_up = self._is_set_up or read_answer(reply, "set_up") is not None
        if reply.get("execution_count"):
            cell["execution_count"] = reply["execution_count"]
        if reply["status"] == "error" and not (allows or reply.get("ename") in self.allow_error_names):
            error = CellExecutionError.from_cell_and_msg(cell, reply)
            trace = self.session.mask.text(strip_ansi("\n".join(reply.get("traceback") or [])))
            evalue = self.session.mask.text(str(error.evalue))
            self.session.ending = describe_error(str(error.ename), evalue, trace, self.code_cells_executed, index)
            return False
        if reply["status"] == "aborted":
            self.session.ending = describe_stop("the kernel, which aborted it", self.code_cells_executed, index)
            return False
        if any(payload.get("source") == "ask_exit" for payload in reply.get("payload") or []):
            self.session.ending = Ending(state=AttemptState.SUCCEEDED)
            return False
        return True

    # -- values ---------------------------------------------------------------------------------------------------

    async def _settle_values(self) -> None:
        """After the parameters: hand the secrets over, and read back which values are really used."""
        session = self.session
        if session.secrets_source:
            reply = await self._execute_silently(session.secrets_source)
            if reply["status"] != "ok":
                raise RuntimeError("the kernel refused the secrets")
        if session.hidden:
            session.mask.add((await self._read_values(ask_hidden(list(session.hidden))) or {}).values())
        if not session.readback:
            return
        values = read_answer(self._reply, "values") or await self._read_values(ask(session.readback))
        if values is not None:
            session.values = session.mask.json(values)
            session.listener.add(EventKind.VALUES, {"values": session.values})
            if session.render_name is not None:
                self.narrator.rename(session.render_name(session.values))

    async def _read_values(self, expression: str) -> dict[str, Any] | None:
        """What the kernel answers to an expression whose value is JSON; None when it can't."""
        reply = await self._execute_silently("", {"values": expression})
        return read_answer(reply, "values")

    def _find_questions(self, index: int) -> dict[str, str] | None:
        """What is asked together with the cells that set parameters, and with the last, to spare questions of their own."""
        session = self.session
        asked = {}
        if not self._is_set_up and index in session.declaring:
            asked["set_up"] = ask_set_up()
        if index == session.declared_until and session.readback and not session.secrets_source and not session.hidden:
            asked["values"] = ask(session.readback)
        if index == self._last and self._speaks_python():
            asked["children"] = ask_for_children()
        return asked or None

    async def _execute_silently(self, code: str, expressions: dict[str, str] | None = None) -> dict[str, Any]:
        assert self.kernel is not None
        assert self._exchange is not None
        message = self.kernel.client.execute(code, silent=True, store_history=False, user_expressions=expressions)
        reply = await self._exchange.wait_for_reply(message, self._limit(None))
        content: dict[str, Any] = reply["content"]
        return content

    def _speaks_python(self) -> bool:
        return bool(self.nb.metadata.get("language_info", {}).get("name") == "python")

    # -- limits ---------------------------------------------------------------------------------------------------

    def _cell_limit(self, cell: Any) -> float | None:
        limit = self.timeout_func(cell) if self.timeout_func is not None and cell is not None else None
        limit = limit or self.session.cell_timeout or self.timeout
        return limit if limit and limit > 0 else None

    def _limit(self, cell: Any) -> float | None:
        """Seconds until the cell's or the run's limit, whichever is first."""
        limits = [] if cell is None else [self._cell_limit(cell)]
        if self._deadline is not None:
            limits.append(max(self._deadline - asyncio.get_running_loop().time(), 0.0))
        return min((limit for limit in limits if limit is not None), default=None)

    # -- messages -------------------------------------------------------------------------------------------------

    async def _pump_iopub(self) -> None:
        assert self.kernel is not None
        assert self._exchange is not None
        while True:
            message = await receive(self.kernel.client.iopub_channel)
            self._exchange.note_output()
            parent = message["parent_header"].get("msg_id", "")
            if message["msg_type"] == "status":
                state = message["content"]["execution_state"]
                if state == "idle":
                    self._exchange.note_idle(parent)
                elif state == "restarting":
                    self.kernel.note_restart()
            index = self._cell_of.get(parent)
            if index is None:
                continue
            try:
                self.process_message(message, self.nb.cells[index], index)
            except CellExecutionComplete:
                pass
            except Exception:
                # One output that can't be understood must not deafen us to all that follow.
                self.log.warning("a message of the kernel was not understood: %s", message["msg_type"], exc_info=True)

    def set_widgets_metadata(self) -> None:
        """The state of widgets holds what was printed into them, and typed."""
        super().set_widgets_metadata()
        if self.session.mask and "widgets" in self.nb.metadata:
            self.nb.metadata["widgets"] = from_dict(self.session.mask.json(self.nb.metadata["widgets"]))

    def output(self, outs: list[Any], msg: Any, display_id: str | None, cell_index: int) -> Any:
        """Keep and tell one output; printed text is joined to what the cell printed before."""
        kind, content = msg["msg_type"], msg["content"]
        if kind == "stream":
            self.narrator.print(content["name"], content["text"], cell_index)
            self._hand_on_at_once()
            if not self.output_hook_stack[msg["parent_header"].get("msg_id")]:
                return self._add_printed(outs, content["name"], content["text"], cell_index)
        elif kind in ("display_data", "execute_result"):
            if self.narrator.obey(content, cell_index):
                return None
            self.narrator.show(content, cell_index)
        elif kind == "error":
            self.narrator.show_error(content, cell_index)
        self._settle_printed(cell_index, final=True)
        output = super().output(outs, msg, display_id, cell_index)
        if output is not None and self.session.mask:
            mask_output(output, self.session.mask)
        return output

    def _add_printed(self, outs: list[Any], stream: str, text: str, index: int) -> Any:
        if self.clear_before_next_output:
            outs[:] = []
            self.clear_display_id_mapping(index)
            self.clear_before_next_output = False
        printed = self._printed.get(index)
        if printed is None or printed.stream != stream or not outs or outs[-1] is not printed.output:
            self._settle_printed(index, final=True)
            session = self.session
            printed = PrintedText(stream, limit=session.output_limit, mask=session.mask, log_path=session.log_path)
            self._printed[index] = printed
            outs.append(printed.output)
        printed.add(text)
        return printed.output

    def _settle_printed(self, index: int, *, final: bool) -> None:
        printed = self._printed.get(index)
        if printed is not None:
            printed.settle(final=final)
        if final:
            self._printed.pop(index, None)

    def _hand_on_at_once(self) -> None:
        """What is printed now and then need not wait for the next beat."""
        now = asyncio.get_running_loop().time()
        if now - self._handed_on > FLUSH_INTERVAL:
            self._handed_on = now
            self.session.listener.flush()

    async def _flush_often(self) -> None:
        """Twenty times a second, hand on what there is: lines to the journal, outputs to the saver."""
        beat = 0
        while True:
            await asyncio.sleep(FLUSH_INTERVAL)
            self.narrator.show_partial()
            self.session.listener.flush()
            beat += 1
            if beat % 10 == 0:
                for index in list(self._printed):
                    self._settle_printed(index, final=False)
                self.session.saver.request()


def describe_cell(cell: Any) -> str:
    """A cell in a few words: papermill's ``papermill_description=``, its tag for parameters, else its first line."""
    _, found, rest = cell.source.partition("papermill_description=")
    if found and rest.split():
        return str(rest.split()[0])
    for tag in ("injected-parameters", "parameters"):
        if tag in cell.metadata.get("tags", []):
            return tag.replace("-", " ")
    first = next((line.strip() for line in cell.source.splitlines() if line.strip()), "")
    return str(first).lstrip("#%").strip()[:80]
