"""The extension: ``nbflow server`` when it is started by itself, and a part of JupyterLab or JupyterHub otherwise."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Unicode

from nbflow.server.routes import list_routes
from nbflow.server.service import Service, Settings


class NbflowServer(ExtensionApp):
    """Flows, runs and schedules by HTTP and in the browser."""

    name = "nbflow"
    app_name = "nbflow"
    extension_url = "/nbflow"
    load_other_extensions = False
    description = "Run notebooks as flows, by HTTP and in the browser."

    works = Bool(
        True,
        help="Whether this server keeps a process that makes the runs of schedules and executes runs. "
        "Any number of servers may share a home: one such process works, the others wait.",
    ).tag(config=True)
    folder = Unicode(
        "", help="The folder below which notebooks, outputs and working directories lie; the server's root by default."
    ).tag(config=True)

    static_paths = [str(Path(__file__).parent / "static")]  # noqa: RUF012 - as its parent has it

    # As for `nbflow run`, which executes the same notebooks for whoever calls it.
    serverapp_config: dict[str, Any] = {"allow_root": True}  # noqa: RUF012 - as its parent has it

    @classmethod
    def get_extension_package(cls) -> str:
        """What a server that is started by itself loads: this package, rather than all of nbflow."""
        return "nbflow.server"

    def initialize_settings(self) -> None:
        """Make what the handlers work with."""
        assert self.serverapp is not None
        folder = Path(self.folder or self.serverapp.root_dir).absolute()
        self.service = Service(Settings(folder=folder, works=self.works), self.log)
        self.settings["nbflow_service"] = self.service

    def initialize_handlers(self) -> None:
        self.handlers.extend(list_routes())
        self.service.start()

    async def stop_extension(self) -> None:
        """Called when the server stops."""
        await asyncio.get_running_loop().run_in_executor(None, self.service.close)


main = NbflowServer.launch_instance
