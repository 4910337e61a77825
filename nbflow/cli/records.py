"""The JSON of ``--json``: see :mod:`nbflow.records`."""

from nbflow.records import attempt_to_json, finding_to_json, flow_to_json, run_to_json, schedule_to_json

__all__ = ["attempt_to_json", "finding_to_json", "flow_to_json", "run_to_json", "schedule_to_json"]
