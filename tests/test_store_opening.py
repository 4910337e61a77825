"""Opening a store: made when missing, migrated when older, refused with three lines when it can't be one."""

from __future__ import annotations

import os
import re
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from nbflow.errors import ConfigError, NbflowError, StoreError
from nbflow.lifecycle import DispatcherRecord
from nbflow.ports import RunFilter
from nbflow.stores import SqlStore, open_store
from nbflow.stores.engine import Database
from nbflow.stores.files import NETWORK_TYPES, check_local, mount_type, read_mounts
from nbflow.stores.schema import create, migrate
from nbflow.stores.tables import SCHEMA_VERSION, metadata
from tests.postgres import PostgresServer
from tests.processes import run_in_child
from tests.store_fixtures import NOW, StoreOpener, add_run, later, make_run


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(url: str | None, home: Path, kind: type[NbflowError] = StoreError) -> str:
    with pytest.raises(kind) as caught:
        open_store(url, home=home)
    said = str(caught.value)
    assert len(said.splitlines()) <= 3
    return said


def change_version(store: SqlStore, statement: str) -> None:
    with store._database.write() as connection:
        connection.execute(text(statement))


# -- where it is


def test_the_default_store_is_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "a" / "home"
    umask = os.umask(0)
    try:
        store = open_store(None, home=home)
        store.kv_set("k", 1, now=NOW)
    finally:
        os.umask(umask)
    assert mode(home) == 0o700
    assert {path.name: mode(path) for path in home.iterdir()} == {
        "nbflow.db": 0o600,
        "nbflow.db-wal": 0o600,
        "nbflow.db-shm": 0o600,
    }
    assert store.where == str(home / "nbflow.db")
    store.close()
    assert [path.name for path in home.iterdir()] == ["nbflow.db"]


def test_a_relative_path_is_resolved_when_the_store_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///here/my store.db", home=tmp_path)
    monkeypatch.chdir("/")
    store.kv_set("k", 1, now=NOW)
    store.close()
    assert (tmp_path / "here" / "my store.db").exists()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://u:secret@h/d", "sqlite://", "sqlite:///:memory:", "//x", "postgres"]
)
def test_an_impossible_url_is_refused(tmp_path: Path, url: str) -> None:
    said = refusal(url, tmp_path, ConfigError)
    assert "sqlite:///PATH or postgresql://" in said
    assert "secret" not in said


@pytest.mark.parametrize("prefix", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_an_unreachable_server_is_named_without_its_password(tmp_path: Path, prefix: str) -> None:
    said = refusal(f"{prefix}://ann:secret@127.0.0.1:1/db", tmp_path)
    assert "ann:***@127.0.0.1:1/db" in said
    assert "secret" not in said


@pytest.mark.postgres
def test_a_missing_database_says_so(tmp_path: Path, postgres_server: PostgresServer) -> None:
    assert "create it" in refusal(postgres_server.url("nowhere"), tmp_path)


@pytest.mark.parametrize("kind", sorted(NETWORK_TYPES))
def test_a_network_file_system_is_refused(kind: str) -> None:
    mounts = (
        f"/dev/sda / ext4 rw 0 0\nserver:/x /home/ann\\040b {kind} rw 0 0\ntmpfs /home/ann\\040b/local tmpfs rw 0 0\n"
    )
    with pytest.raises(StoreError, match=rf"network file system \({kind}\)"):
        check_local(Path("/home/ann b/nbflow.db"), mounts)
    check_local(Path("/home/ann b/local/nbflow.db"), mounts)
    check_local(Path("/home/ann bee/nbflow.db"), mounts)


def test_a_later_mount_covers_an_earlier_one() -> None:
    assert mount_type(Path("/x/y"), "a /x nfs rw\nb /x ext4 rw\n") == "ext4"
    assert mount_type(Path("/x/y"), "a / 9p rw\nbroken\n") is None  # the root of a sandbox
    assert mount_type(Path("/x/y"), "a /x 9p rw\n") == "9p"
    assert mount_type(Path("/x/y"), "") is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_mounts_of_this_machine_are_read(tmp_path: Path) -> None:
    assert mount_type(Path("/proc/self"), read_mounts()) == "proc"
    check_local(tmp_path)


# -- what is there


def _text_file(path: Path) -> None:
    path.write_text("not a database at all\n" * 100)


def _other_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE run (id)")
    connection.close()


def _torn(path: Path) -> None:
    open_store(None, home=path.parent).close()
    content = bytearray(path.read_bytes())
    content[100:4096] = os.urandom(3996)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_text_file, "not an nbflow store"),
        (_other_database, "tables that are not nbflow's (run)"),
        (_torn, "damaged"),
        (Path.mkdir, "can't be opened"),
    ],
)
def test_what_is_no_store_is_refused_and_left_alone(tmp_path: Path, spoil: Any, told: str) -> None:
    path = tmp_path / "nbflow.db"
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""
    said = refusal(None, tmp_path)
    assert told in said
    assert str(path) in said
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    assert "folder it may write to" in refusal(None, tmp_path / "home")


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "nbflow.db").touch()
    with closing(open_store(None, home=tmp_path)) as store:
        store.kv_set("n", 1, now=NOW)
    with closing(open_store(None, home=tmp_path)) as again:
        assert again.kv_get("n") == 1


@pytest.mark.postgres
def test_anothers_tables_on_postgres_are_refused_and_strangers_tolerated(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    strange, taken = postgres_server.new_database(), postgres_server.new_database()
    for url, table in ((strange, "customers"), (strange, "alembic_version"), (taken, "flow")):
        postgres_server.execute(f"CREATE TABLE {table} (id int)", url.removeprefix("postgresql:///").partition("?")[0])
    open_store(strange, home=tmp_path).close()
    assert "not nbflow's (flow)" in refusal(taken, tmp_path)


@pytest.mark.postgres
def test_a_postgres_database_must_hold_any_text(tmp_path: Path, postgres_server: PostgresServer) -> None:
    assert "LATIN1" in refusal(postgres_server.new_database("ENCODING 'LATIN1'"), tmp_path)


def test_a_store_that_vanished_while_open_is_noticed(tmp_path: Path) -> None:
    store, other = open_store(None, home=tmp_path), open_store("sqlite:///" + str(tmp_path / "other.db"), home=tmp_path)
    other.close()
    (tmp_path / "nbflow.db").unlink()
    with pytest.raises(StoreError, match="removed or replaced"):
        store.kv_set("k", 1, now=NOW)
    (tmp_path / "other.db").rename(tmp_path / "nbflow.db")
    with pytest.raises(StoreError, match="removed or replaced"):
        store.kv_list()
    store.close()


def test_sqlite_serves_the_dispatchers_of_one_host(tmp_path: Path) -> None:
    def dispatcher(host: str, seconds: float) -> DispatcherRecord:
        seen = later(seconds)
        return DispatcherRecord(id=host, host=host, pid=1, process_started=1, started=seen, heartbeat=seen)

    store = open_store(None, home=tmp_path)
    store.add_dispatcher(dispatcher("a", 0))
    store.add_dispatcher(dispatcher("a", 1))
    with pytest.raises(StoreError, match="in use on the host a"):
        store.add_dispatcher(dispatcher("b", 59))
    store.add_dispatcher(dispatcher("b", 3600))
    store.close()


# -- its schema


def test_a_newer_store_is_refused(opener: StoreOpener, tmp_path: Path) -> None:
    change_version(opener(), "UPDATE nbflow_version SET version_num = '0999'")
    with pytest.raises(StoreError, match=f"0999, this one knows {SCHEMA_VERSION}") as caught:
        opener()
    assert "upgrade nbflow" in str(caught.value)


def _scripts() -> Any:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "nbflow.stores:migrations")
    return ScriptDirectory.from_config(config)


def test_migrations_are_numbered_and_the_newest_is_the_schema() -> None:
    numbers = [script.revision for script in _scripts().walk_revisions()]
    assert numbers == [f"{number:04d}" for number in range(len(numbers), 0, -1)]
    assert numbers[0] == SCHEMA_VERSION


def _describe(connection: Connection) -> list[str]:
    if connection.dialect.name == "sqlite":
        found = connection.execute(text("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    else:
        found = connection.execute(
            text(
                "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default, collation_name"
                " FROM information_schema.columns WHERE table_schema = 'public' UNION ALL"
                " SELECT tablename, indexname, 0, indexdef, '', '', '' FROM pg_indexes WHERE schemaname = 'public' UNION ALL"
                " SELECT conrelid::regclass::text, conname, 0, pg_get_constraintdef(oid), '', '', '' FROM pg_constraint"
                " WHERE connamespace = 'public'::regnamespace"
            )
        )
    # Whole, which str(row) is not; an added column stands on the line of the one before it.
    return sorted(" ".join(re.sub(r"\\[nt]", " ", str(tuple(row))).split()) for row in found)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_the_migrations_lead_to_what_a_new_store_has(kind: str, request: pytest.FixtureRequest) -> None:
    from sqlalchemy import make_url

    described = []
    for make in (create, migrate):
        url = "sqlite://"
        if kind == "postgres":
            url = (
                request.getfixturevalue("postgres_server").new_database().replace("postgresql:", "postgresql+psycopg:")
            )
        database = Database(make_url(url))
        with database.write() as connection:
            make(connection)
            described.append(_describe(connection))
        database.close()
    assert described[0] == described[1]
    assert len(described[0]) > len(metadata.tables)


def test_an_older_store_is_migrated(opener: StoreOpener) -> None:
    store = opener()
    with store._database.write() as connection:
        before = _describe(connection)
        for table in reversed(metadata.sorted_tables):
            if table.name != "nbflow_version":
                connection.execute(text(f"DROP TABLE {table.name}"))
        connection.execute(text("DELETE FROM nbflow_version"))  # as old as can be: before the first migration
    migrated = opener()
    assert add_run(migrated).sequence == 1
    with migrated._database.read() as connection:
        assert _describe(connection) == before
    opener()


def test_opening_does_not_import_alembic(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from nbflow.stores import open_store\n"
        f"for _ in range(2): open_store(None, home=pathlib.Path({str(tmp_path)!r})).close()\n"
        "print([name for name in ('alembic', 'psycopg', 'sqlalchemy.dialects.postgresql', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- its disk


def test_a_full_disk_is_told_and_nothing_is_half_recorded(tmp_path: Path) -> None:
    store = open_store(None, home=tmp_path)
    kept = add_run(store)
    store.close()

    def child() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        own = open_store(None, home=tmp_path)
        own.kv_set("first", 1, now=NOW)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        with pytest.raises(StoreError) as caught:
            own.add_runs([make_run(parameters={"x": "y" * 1000}) for _ in range(5000)])
        assert str(tmp_path) in str(caught.value)
        assert len(str(caught.value).splitlines()) <= 3
        assert own.get_run(kept.id) == kept
        own.kv_set("afterwards", 1, now=NOW)

    assert run_in_child(child) == 0
    store = open_store(None, home=tmp_path)
    assert store.list_runs(RunFilter()) == [kept]
    assert sorted(store.kv_list()) == ["afterwards", "first"]
    store.close()


def test_no_space_left_names_the_remedy(tmp_path: Path) -> None:
    store = open_store(None, home=tmp_path)
    with store._database.write() as connection:
        connection.execute(text("PRAGMA max_page_count = 60"))
    with pytest.raises(StoreError, match="no space left") as caught:
        store.kv_set("k", "x" * 1_000_000, now=NOW)
    assert "free some space" in str(caught.value)
    assert store.kv_list() == {}
    store.kv_set("k", "small", now=NOW)
    store.close()
