"""What the fork server has ready for every runner: the modules of one, and what they look up once a process.

Importing this does that work, once; it is for the fork server alone. A runner that imported, compiled and looked up all
this for itself would take 0.2 s longer. Whatever is loaded here, every runner and every kernel carries along.
"""

from __future__ import annotations

import encodings.utf_8_sig  # noqa: F401
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import ipykernel.kernelspec  # noqa: F401
from jupyter_client import jsonutil
from jupyter_client.provisioning import KernelProvisionerFactory

from nbflow.engines.postponed import import_papermill

import_papermill()
for _name in ("engines.journal", "engines.papermill", "engines.spec", "notebooks", "parameters.reader"):
    import_module(f"nbflow.{_name}")
import_module("nbformat.validator").get_validator(4, 5)
_PROVISIONERS = {entry.name: entry for entry in entry_points(group=KernelProvisionerFactory.GROUP_NAME)}


class WarmFactory(KernelProvisionerFactory):  # type: ignore[misc]
    """jupyter_client's factory, without its question to every installed package; it still asks for a name it lacks.

    The first instance is everybody's in its process, so it is to be made in runners and not here.
    """

    def __init__(self, **options: Any) -> None:
        super(KernelProvisionerFactory, self).__init__(**options)
        self.provisioners.update(_PROVISIONERS)


def read_dates_sooner() -> None:
    """In a runner: the times in the kernel's messages are read by the standard library, where it can."""
    session: Any = import_module("jupyter_client.session")
    pattern, original = jsonutil.ISO8601_PAT, session.extract_dates

    def extract_dates(value: Any) -> Any:
        if type(value) is dict:
            return {key: extract_dates(item) for key, item in value.items()}
        if type(value) is str:
            if not pattern.match(value):
                return value
            with suppress(ValueError):
                time = datetime.fromisoformat(value)
                if time.tzinfo is not None:
                    return time
        return original(value)

    session.extract_dates = extract_dates
