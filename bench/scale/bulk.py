"""Loading millions of rows: user triggers off, foreign keys and indexes rebuilt after the rows.

All of it inside the caller's transaction: a load that fails leaves the database as it was. What comes back
is what the catalogue said, so that a migration of tomorrow needs no change here; every foreign key is
checked as it comes back, by one join instead of a look-up for each row.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from khaacho import sql

FOREIGN_KEYS = """
SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'f' AND conrelid = ANY(%s::regclass[]) ORDER BY conrelid, conname
"""
# Unique constraints are rebuilt too, primary keys stay: foreign keys of other tables hang on them.
UNIQUE = """
SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint c
WHERE contype = 'u' AND conrelid = ANY(%s::regclass[])
    AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conindid = c.conindid)
ORDER BY conrelid, conname
"""
# A condition on a list comes back from its own text with other casts, so such an index stays as it is.
INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index i
WHERE indrelid = ANY(%s::regclass[]) AND coalesce(pg_get_expr(indpred, indrelid), '') NOT LIKE '%%ARRAY%%'
    AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
ORDER BY indrelid, indexrelid
"""


@contextmanager
def bare(tables: Sequence[str]) -> Iterator[list[str]]:
    """Take triggers, foreign keys and indexes off the tables; yield the statements that bring them back.

    The caller runs the statements when the rows are there. Holds ACCESS EXCLUSIVE locks until the commit.
    """
    names = list(tables)
    foreign_keys, unique = sql.fetch(FOREIGN_KEYS, [names]), sql.fetch(UNIQUE, [names])
    indexes = sql.fetch(INDEXES, [names])
    for table in names:
        sql.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for table, name, _ in (*foreign_keys, *unique):
        sql.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    for name, _ in indexes:
        sql.execute(f"DROP INDEX {name}")
    yield [
        *(definition for _, definition in indexes),
        *(f"ALTER TABLE {table} ADD CONSTRAINT {name} {text}" for table, name, text in unique),
        *(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} {text}"
            for table, name, text in foreign_keys
        ),
    ]
    for table in names:
        sql.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
