"""Files of reports: chunks in PostgreSQL, where every web process and every backup finds them (adr/0029)."""

import hashlib
from collections.abc import Iterator
from typing import IO

from khaacho import sql

CHUNK = 1024 * 1024  # bytes
MAX_BYTES = 200 * 1024 * 1024


def store(report_id: int, file: IO[bytes]) -> tuple[int, str]:
    """Write a file's chunks in the caller's transaction; return its size in bytes and its SHA-256."""
    file.seek(0)
    size, digest = 0, hashlib.sha256()
    number = 0
    while chunk := file.read(CHUNK):
        sql.execute(
            "INSERT INTO report_files (report_id, number, content) VALUES (%s, %s, %s)",
            [report_id, number, chunk],
        )
        digest.update(chunk)
        size += len(chunk)
        number += 1
    return size, digest.hexdigest()


def chunks(report_id: int) -> Iterator[bytes]:
    """Yield a file piece by piece, one statement each: a slow reader holds no transaction open."""
    number = 0
    while True:
        row = sql.fetch_one(
            "SELECT content FROM report_files WHERE report_id = %s AND number = %s",
            [report_id, number],
        )
        if row is None:
            return
        yield bytes(row[0])
        number += 1


# An expired file goes first, its report a year later: who took what out stays known that long.
FORGET_FILES = """
DELETE FROM report_files WHERE report_id = ANY (ARRAY(
    SELECT r.id FROM reports r WHERE r.state = 'done' AND r.expires_at < now()
        AND EXISTS (SELECT FROM report_files f WHERE f.report_id = r.id)
    ORDER BY r.expires_at LIMIT %(limit)s))
"""


def forget_expired(limit: int = 100) -> int:
    """Delete the files of up to `limit` expired reports; return how many chunks."""
    return sql.execute(FORGET_FILES, {"limit": limit})
