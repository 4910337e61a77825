"""Other ways to declare parameters: Colab forms, Databricks widgets, and the assignments of other languages."""

from nbflow.parameters.dialects.colab import read_colab
from nbflow.parameters.dialects.dbutils import read_dbutils
from nbflow.parameters.dialects.foreign import can_read, read_foreign

__all__ = ["can_read", "read_colab", "read_dbutils", "read_foreign"]
