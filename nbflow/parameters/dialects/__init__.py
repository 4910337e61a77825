"""Other ways to declare parameters: Colab forms, Databricks widgets, and the assignments of other languages."""

from nbflow.parameters.dialects.colab import read_colab
from nbflow.parameters.dialects.dbutils import read_dbutils
from nbflow.parameters.dialects.foreign import read_foreign

__all__ = ["read_colab", "read_dbutils", "read_foreign"]
