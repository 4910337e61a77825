"""Key-value pairs."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Any

from nbflow.errors import NotFoundError
from nbflow.parameters.values import dumps_exact
from nbflow.project import Project
from nbflow.project.pairs import MAX_KEY
from nbflow.server.handlers import ApiHandler
from nbflow.server.problems import Problem
from nbflow.server.queries import PairsQuery
from nbflow.server.reading import read_query


class PairsHandler(ApiHandler):
    """All pairs, or those whose key begins with ``?prefix=``."""

    async def get(self) -> None:
        query = read_query(PairsQuery, self.read_arguments())
        self.answer({"pairs": await self.call(self.project.kv.list, query.prefix)})


class PairHandler(ApiHandler):
    """One pair. Its ETag, sent back in If-Match, keeps two writers from overwriting each other."""

    async def get(self, key: str) -> None:
        self._answer(key, await self.call(_get, self.project, key))

    async def put(self, key: str) -> None:
        if not _is_key(key):
            raise NotFoundError(f"key {key[:100]!r}: no key is like that; expected 1 to 500 printable characters")
        value = self.read_json()
        wanted, fresh = self.request.headers.get("If-Match"), self.request.headers.get("If-None-Match")
        await self.call(_put, self.project, key, value, wanted, fresh)
        self._answer(key, value)

    async def delete(self, key: str) -> None:
        if not _is_key(key) or not await self.call(self.project.kv.delete, key):
            raise NotFoundError(f"key {key!r}: there is no such key")
        self.answer_nothing()

    def _answer(self, key: str, value: Any) -> None:
        self.answer({"key": key, "value": value}, headers={"Etag": make_etag(value)})


_ABSENT = {"$absent": True}


def _is_key(key: str) -> bool:
    return key.isprintable() and 0 < len(key) <= MAX_KEY


def make_etag(value: Any) -> str:
    return f'"{hashlib.sha256(dumps_exact(value, sort_keys=True).encode("ascii")).hexdigest()[:32]}"'


def _get(project: Project, key: str) -> Any:
    try:
        if _is_key(key):
            return project.kv[key]
    except KeyError:
        pass
    raise NotFoundError(f"key {key!r}: there is no such key")


def _put(project: Project, key: str, value: Any, wanted: str | None, fresh: str | None) -> None:
    def change(current: Any) -> Any:
        is_there = current != _ABSENT
        if (fresh == "*" and is_there) or (wanted and not (is_there and wanted in ("*", make_etag(current)))):
            raise Problem(HTTPStatus.PRECONDITION_FAILED, f"key {key!r}: it has changed meanwhile; read it again")
        return value

    if wanted is None and fresh is None:
        project.kv.set(key, value)
    else:
        project.kv.update(key, change, default=_ABSENT)
