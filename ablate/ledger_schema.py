"""The tables of the ledger's file, and how one is opened: made, checked, brought up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ablate.errors import AblateError

SCHEMA_VERSION = 3

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE run (
    key TEXT PRIMARY KEY, spec TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
    reason TEXT NOT NULL, cost TEXT, losses TEXT, environment TEXT, finished REAL
) WITHOUT ROWID;
CREATE TABLE score (
    key TEXT NOT NULL REFERENCES run(key), benchmark TEXT NOT NULL, digest TEXT NOT NULL,
    n_items INTEGER NOT NULL, score REAL NOT NULL, loglik REAL NOT NULL, items BLOB NOT NULL,
    PRIMARY KEY (key, digest)
) WITHOUT ROWID;
CREATE TABLE environment (id TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE report (
    design TEXT NOT NULL, study TEXT NOT NULL, seeds TEXT NOT NULL, written REAL NOT NULL
);
"""

PROBES = """
CREATE TABLE probe (
    key TEXT NOT NULL REFERENCES run(key), recipe INTEGER NOT NULL, prompts TEXT NOT NULL,
    content BLOB NOT NULL, written REAL NOT NULL,
    PRIMARY KEY (key, recipe, prompts)
) WITHOUT ROWID;
"""

REGISTRATIONS = """
CREATE TABLE registered (
    digest TEXT NOT NULL, study TEXT NOT NULL, content TEXT NOT NULL, written REAL NOT NULL
);
"""

MIGRATIONS = {2: PROBES, 3: REGISTRATIONS}
"""What each schema added to the one before it."""


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection to the ledger at ``path``: see :func:`ablate.ledger.open_ledger`.

    Raises:
        AblateError: not a ledger, damaged (never overwritten), or of a newer schema.
    """
    new = not path.exists()
    hint = "move it away to start afresh, or restore it from a backup; nothing was changed"
    try:
        if read_only:
            connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        else:
            connection = sqlite3.connect(path, isolation_level=None)
        if new:
            connection.executescript(
                f"BEGIN; {SCHEMA} INSERT INTO meta VALUES ('schema', '1'); COMMIT;"
            )
        check = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        row = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            raise AblateError("the file is no ledger", place=str(path), hint=hint) from None
        raise AblateError(f"cannot open the ledger: {error}", place=str(path)) from None
    except sqlite3.DatabaseError as error:
        raise AblateError(f"the ledger is damaged ({error})", place=str(path), hint=hint) from None
    if check != "ok":
        raise AblateError(f"the ledger is damaged ({check})", place=str(path), hint=hint)
    if row is None or not str(row[0]).isdigit():
        raise AblateError("the file is no ledger", place=str(path), hint=hint)
    if int(row[0]) > SCHEMA_VERSION:
        raise AblateError(
            f"the ledger has schema {row[0]}, this version knows up to {SCHEMA_VERSION}",
            place=str(path),
            hint="update this package, or choose another home",
        )
    if not read_only:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        _migrate(connection, int(row[0]))
    return connection


def _migrate(connection: sqlite3.Connection, schema: int) -> None:
    """Bring a ledger to the present schema, in one transaction per version."""
    for version in range(schema + 1, SCHEMA_VERSION + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {MIGRATIONS[version]} "
            f"UPDATE meta SET value = '{version}' WHERE name = 'schema'; COMMIT;"
        )
