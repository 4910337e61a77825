"""Engines: where attempts execute, and the attempt itself (one runner process and its kernel)."""
