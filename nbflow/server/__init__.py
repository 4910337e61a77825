"""The Jupyter Server extension: flows, runs and schedules by HTTP."""
