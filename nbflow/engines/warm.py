"""What the fork server has ready for every runner: the modules of one, and what they look up once a process.

Importing this does that work, once; it is for the fork server alone. A runner that imported, compiled and looked up all
this for itself would take 0.2 s longer.
"""

from __future__ import annotations

import encodings.utf_8_sig  # noqa: F401
from importlib.metadata import entry_points
from typing import Any

import ipykernel.kernelspec  # noqa: F401
import pydantic
from jupyter_client.provisioning import KernelProvisionerFactory
from nbformat.validator import get_validator

import nbflow.engines.journal
import nbflow.engines.papermill
import nbflow.engines.spec
import nbflow.notebooks
import nbflow.parameters.adapters
import nbflow.parameters.injection
import nbflow.parameters.readback
import nbflow.parameters.reading
import nbflow.parameters.validation  # noqa: F401

get_validator(4, 5)
pydantic.TypeAdapter(int)  # asks every installed package for plugins
_PROVISIONERS = {entry.name: entry for entry in entry_points(group=KernelProvisionerFactory.GROUP_NAME)}


class WarmFactory(KernelProvisionerFactory):  # type: ignore[misc]
    """jupyter_client's factory, without its question to every installed package; it still asks for a name it lacks.

    The first instance is everybody's in its process, so it is to be made in runners and not here.
    """

    def __init__(self, **options: Any) -> None:
        super(KernelProvisionerFactory, self).__init__(**options)
        self.provisioners.update(_PROVISIONERS)
