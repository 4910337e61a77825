"""How Alembic runs the migrations: on the connection, and in the transaction, that ``schema.migrate`` hands over."""

from __future__ import annotations

from alembic import context

from nbflow.stores.tables import metadata, version

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=version.name,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
