"""Registered flows, their versions and their limits."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, tuple_, update

from nbflow.errors import NotFoundError, UsageError
from nbflow.flows import FlowVersion
from nbflow.parameters.values import dumps_exact
from nbflow.stores.notebooks import unpin
from nbflow.stores.records import version_of
from nbflow.stores.section import Section, insert_new
from nbflow.stores.tables import flow, flow_limit, flow_version


class Flows(Section):
    """A flow's versions are numbered without gaps: its row in ``flow`` is locked while one is added."""

    def register_flow(
        self, *, project: str, name: str, notebook_hash: str, schema: Mapping[str, Any], source_path: str, now: datetime
    ) -> FlowVersion:
        row: dict[str, Any] = {
            "project": project,
            "name": name,
            "notebook_hash": notebook_hash,
            "source_path": source_path,
        }
        row |= {"schema": dumps_exact(dict(schema)), "registered": now}
        with self._database.write() as connection:
            insert_new(connection, flow, {"project": project, "name": name})
            connection.execute(_flow(project, name).with_for_update()).one()
            unpin(connection, [notebook_hash])
            newest = _find(connection, project, name)
            if newest and (newest.notebook_hash, newest.source_path) == (notebook_hash, source_path):
                return newest
            number = newest.number + 1 if newest else 1
            connection.execute(insert(flow_version).values(**row, number=number))
            return version_of(connection.execute(_versions(project, name, number)).one())

    def get_flow(self, project: str, name: str, *, number: int | None = None) -> FlowVersion:
        with self._database.read() as connection:
            if found := _find(connection, project, name, number):
                return found
            full_name = f"{project}/{name}"
            if number is not None and (newest := _find(connection, project, name)):
                raise NotFoundError(f"flow {full_name}: it has no version {number}; the newest is {newest.number}")
            names = [f"{row.project}/{row.name}" for row in connection.execute(select(flow))]
        near = difflib.get_close_matches(full_name, names)
        advice = f"did you mean {' or '.join(near)}?" if near else "nbflow flows ls lists what is"
        raise NotFoundError(f"flow {full_name}: not registered; {advice}")

    def list_flows(self, project: str | None = None) -> list[FlowVersion]:
        newest = select(flow_version.c.project, flow_version.c.name, func.max(flow_version.c.number)).group_by(
            flow_version.c.project, flow_version.c.name
        )
        if project is not None:
            newest = newest.where(flow_version.c.project == project)
        key = tuple_(flow_version.c.project, flow_version.c.name, flow_version.c.number)
        with self._database.read() as connection:
            rows = connection.execute(select(flow_version).where(key.in_(newest))).all()
        return sorted(map(version_of, rows), key=lambda version: version.full_name)

    def list_versions(self, project: str, name: str) -> list[FlowVersion]:
        with self._database.read() as connection:
            rows = connection.execute(_versions(project, name).order_by(flow_version.c.number)).all()
        return list(map(version_of, rows))

    def remove_flow(self, project: str, name: str) -> None:
        with self._database.write() as connection:
            gone = connection.execute(delete(flow).where(flow.c.project == project, flow.c.name == name))
            if not gone.rowcount:
                raise NotFoundError(f"flow {project}/{name}: not registered; nbflow flows ls lists what is")
            versions = flow_version.c.project == project, flow_version.c.name == name
            connection.execute(delete(flow_version).where(*versions))

    def set_flow_limit(self, flow: str, limit: int | None) -> None:
        if limit is not None and limit < 0:
            raise UsageError(f"limit of {flow}: {limit} runs at once; give 0 or more, or None to lift it")
        known = flow_limit.c.flow == flow
        with self._database.write() as connection:
            if limit is None:
                connection.execute(delete(flow_limit).where(known))
            elif not insert_new(connection, flow_limit, {"flow": flow, "max_runs": limit}):
                connection.execute(update(flow_limit).where(known).values(max_runs=limit))

    def list_flow_limits(self) -> dict[str, int]:
        with self._database.read() as connection:
            rows = connection.execute(select(flow_limit).order_by(flow_limit.c.flow)).all()
        return {row.flow: row.max_runs for row in rows}


def _flow(project: str, name: str) -> Select[Any]:
    return select(flow).where(flow.c.project == project, flow.c.name == name)


def _versions(project: str, name: str, number: int | None = None) -> Select[Any]:
    found = select(flow_version).where(flow_version.c.project == project, flow_version.c.name == name)
    return found if number is None else found.where(flow_version.c.number == number)


def _find(connection: Connection, project: str, name: str, number: int | None = None) -> FlowVersion | None:
    newest = _versions(project, name, number).order_by(flow_version.c.number.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return None if row is None else version_of(row)
