"""The panel in a notebook: a form of the flow's parameters, its runs, and what they tell."""
