"""Parameters: what a flow declares in its tagged cell, read without executing anything."""
