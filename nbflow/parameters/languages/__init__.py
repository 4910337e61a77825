"""Writing values into notebooks of other languages than Python."""

from nbflow.parameters.languages.rendering import can_render, name_fault, render, render_values

__all__ = ["can_render", "name_fault", "render", "render_values"]
