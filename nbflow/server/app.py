"""The extension: ``nbflow server`` when it is started by itself, and a part of JupyterLab or JupyterHub otherwise."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from jupyter_server.auth.identity import PasswordIdentityProvider
from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Unicode

from nbflow.server.routes import list_routes
from nbflow.server.scope import AppScope, list_gates
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

    only = Unicode(
        "",
        help="The one flow, project/name or the path of a notebook below the folder, that is served as an app: "
        "whoever has the token of such a server reaches its form and its runs, and nothing else.",
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
        scope = AppScope(reference=self.only, base_url=self.serverapp.base_url, folder=folder) if self.only else None
        self.service = Service(Settings(folder=folder, works=self.works, scope=scope), self.log)
        self.settings["nbflow_service"] = self.service
        if self.serverapp.starter_app is self:
            # Not every browser holds a session back where a page of somebody else asks for ours.
            identity = self.serverapp.identity_provider
            identity.cookie_options = {"samesite": "Lax", **identity.cookie_options}

    def initialize_handlers(self) -> None:
        self.handlers.extend(list_routes())
        if self.service.settings.scope is not None:
            self._close_rest(self.service.settings.scope)
        self.service.start()

    def _close_rest(self, scope: AppScope) -> None:
        assert self.serverapp is not None
        self.serverapp.web_app.default_router.rules[:0] = list_gates(scope)
        # The user's other servers sign their sessions with the same key, and the host that a client names is all that
        # tells whose session it is.
        self.serverapp.web_app.settings["cookie_secret"] = os.urandom(32)
        identity = self.serverapp.identity_provider
        if isinstance(identity, PasswordIdentityProvider):
            identity.allow_password_change = False  # it would be that of the user's other servers

    async def stop_extension(self) -> None:
        """Called when the server stops."""
        await asyncio.get_running_loop().run_in_executor(None, self.service.close)


main = NbflowServer.launch_instance
