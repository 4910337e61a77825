"""What the fork server has ready for every runner: the modules of one, and the compiled schema of a notebook.

Importing this does that work, once; it is for the fork server alone. A runner that imported and compiled all this for
itself would take 0.2 s longer.
"""

from __future__ import annotations

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
