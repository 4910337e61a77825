"""nbflow: run Jupyter notebooks with other values than the ones typed into them."""

__version__ = "0.1.0"
