"""What a notebook user touches: flows and runs as objects that read well in a cell."""
