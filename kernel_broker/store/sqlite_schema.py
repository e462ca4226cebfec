"""The tables of the embedded store, and how a file of an older version gets them."""

from typing import Final

SCHEMA_VERSION: Final = 2

# An entry or a reference holds for the revisions from `since` to before `until`; at the head `until` is null.
# Chunk bytes have a table of their own, so that what is said about a chunk changes without touching them.
# A chunk belongs to a family of sessions: those that were forked from each other.
_TABLES: Final = """
CREATE TABLE entries (
    number INTEGER PRIMARY KEY, session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
    name TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER, data BLOB NOT NULL
);
CREATE UNIQUE INDEX entries_at_head ON entries (session_id, name) WHERE until IS NULL;
CREATE INDEX entries_by_end ON entries (session_id, until);
CREATE TABLE refs (
    session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
    number INTEGER NOT NULL REFERENCES chunks, since INTEGER NOT NULL, until INTEGER,
    PRIMARY KEY (number, session_id, since)
) WITHOUT ROWID;
CREATE INDEX refs_by_end ON refs (session_id, until);
CREATE TABLE revisions (
    session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE, revision INTEGER NOT NULL,
    at REAL NOT NULL, run_id TEXT, doc BLOB NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (session_id, revision)
) WITHOUT ROWID;
CREATE INDEX sessions_by_family ON sessions (family)
"""

_CHUNKS: Final = """(
    number INTEGER PRIMARY KEY, family INTEGER NOT NULL, chunk_id TEXT NOT NULL, size INTEGER NOT NULL,
    unreferenced_since REAL, UNIQUE (family, chunk_id)
)"""
_LOOSE: Final = (
    "CREATE INDEX chunks_unreferenced ON chunks (unreferenced_since) WHERE unreferenced_since IS NOT NULL"
)

_NEW: Final = f"""
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY, owner TEXT NOT NULL, revision INTEGER NOT NULL, created_at REAL NOT NULL,
    last_activity REAL NOT NULL, ttl REAL NOT NULL, doc BLOB NOT NULL, size INTEGER NOT NULL,
    expires_at REAL NOT NULL, epoch INTEGER NOT NULL, holder TEXT, lease_ttl REAL NOT NULL,
    lease_until REAL NOT NULL, token TEXT, family INTEGER NOT NULL DEFAULT 0,
    old_size INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX sessions_by_owner ON sessions (owner);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
    run_id TEXT NOT NULL, finished INTEGER NOT NULL, revision INTEGER NOT NULL, log BLOB NOT NULL,
    UNIQUE (session_id, run_id)
);
CREATE TABLE chunks {_CHUNKS};
CREATE TABLE chunk_data (
    number INTEGER PRIMARY KEY REFERENCES chunks ON DELETE CASCADE, data BLOB NOT NULL
);
CREATE TABLE probe (number INTEGER PRIMARY KEY, at REAL NOT NULL);
{_TABLES};
{_LOOSE}
"""

# Version 1 kept the head alone, and each session's chunks were its own.
_FROM_1: Final = f"""
ALTER TABLE sessions ADD COLUMN family INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN old_size INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET family = rowid;
ALTER TABLE entries RENAME TO former_entries;
{_TABLES};
INSERT INTO entries (session_id, name, since, data)
    SELECT session_id, name, revision, data FROM former_entries JOIN sessions USING (session_id);
DROP TABLE former_entries;
INSERT INTO refs SELECT session_id, number, revision, NULL FROM chunks JOIN sessions USING (session_id)
    WHERE unreferenced_since IS NULL;
INSERT INTO revisions SELECT session_id, revision, last_activity, NULL, doc, size FROM sessions;
CREATE TABLE family_chunks {_CHUNKS};
INSERT INTO family_chunks SELECT number, coalesce(family, 0), iif(family IS NULL, number, chunk_id),
    chunks.size, iif(family IS NULL, 0, unreferenced_since) FROM chunks LEFT JOIN sessions USING (session_id);
DROP TABLE chunks;
ALTER TABLE family_chunks RENAME TO chunks;
{_LOOSE}
"""  # noqa: S608


def statements(version: int) -> list[str]:
    """What turns a file of `version` (0: a new one) into one of `SCHEMA_VERSION`, foreign keys being off."""
    steps = {0: _NEW, 1: _FROM_1}
    return [text for text in steps.get(version, "").split(";") if text.strip()]
