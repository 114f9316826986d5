"""Loading millions of rows: user triggers off, indexes and foreign keys built after the rows.

What comes back is what the catalogue said, so that a migration of tomorrow needs no change here; every
foreign key is checked as it comes back, by one join instead of a look-up for each row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from khaacho import sql

# Up to PostgreSQL 17 one of a partitioned table cannot be NOT VALID: it is checked when it is added.
FOREIGN_KEYS = """
SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid),
    EXISTS (SELECT FROM pg_partitioned_table p WHERE p.partrelid = conrelid)
FROM pg_constraint
WHERE contype = 'f' AND conrelid = ANY(%s::regclass[]) ORDER BY conrelid, conname
"""
# Unique constraints are rebuilt too; primary keys stay: foreign keys of other tables hang on them.
UNIQUE = """
SELECT conrelid::regclass::text, quote_ident(conname), pg_get_indexdef(conindid) FROM pg_constraint c
WHERE contype = 'u' AND NOT condeferrable AND conrelid = ANY(%s::regclass[])
    AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = c.conrelid
        AND f.conindid = c.conindid)
ORDER BY conrelid, conname
"""
# A condition on a list comes back from its own text with other casts, so such an index stays as it is.
# Of a partitioned table's the parts have one each, which is attached to its.
INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), up.inhparent::regclass::text
FROM pg_index i LEFT JOIN pg_inherits up ON up.inhrelid = i.indexrelid
WHERE (indrelid = ANY(%(tables)s::regclass[]) OR EXISTS (SELECT FROM pg_inherits part
        WHERE part.inhrelid = indrelid AND part.inhparent = ANY(%(tables)s::regclass[])))
    AND coalesce(pg_get_expr(indpred, indrelid), '') NOT LIKE '%%ARRAY%%'
    AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype <> 'f')
ORDER BY indrelid, indexrelid
"""


@dataclass(frozen=True)
class Rebuild:
    """Statements that bring back what was taken off, by stage; those of one stage may run side by side.

    `checks` are lists of one table each, which wait for one another.
    """

    builds: list[str]
    attachments: list[str]
    checks: list[list[str]]
    triggers: list[str]


def strip(tables: Sequence[str]) -> Rebuild:
    """Take user triggers, foreign keys and indexes off the tables; return how they come back."""
    names = list(tables)
    foreign_keys, unique = sql.fetch(FOREIGN_KEYS, [names]), sql.fetch(UNIQUE, [names])
    indexes = sql.fetch(INDEXES, {"tables": names})
    for table in names:
        sql.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for table, name, *_ in (*foreign_keys, *unique):
        sql.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    for name, _, parent in indexes:
        if parent is None:  # else it goes with it
            sql.execute(f"DROP INDEX {name}")
    return Rebuild(
        builds=[
            *(definition for _, definition, _ in indexes),
            *(definition for *_, definition in unique),
        ],
        attachments=[
            *(
                f"ALTER INDEX {parent} ATTACH PARTITION {name}"
                for name, _, parent in indexes
                if parent is not None
            ),
            *(
                f"ALTER TABLE {table} ADD CONSTRAINT {n} UNIQUE USING INDEX {n}"
                for table, n, _ in unique
            ),
            *(
                f"ALTER TABLE {table} ADD CONSTRAINT {n} {text}{'' if is_parted else ' NOT VALID'}"
                for table, n, text, is_parted in foreign_keys
            ),
        ],
        checks=[
            [
                f"ALTER TABLE {table} VALIDATE CONSTRAINT {n}"
                for owner, n, _, is_parted in foreign_keys
                if owner == table and not is_parted
            ]
            for table in dict.fromkeys(table for table, *_ in foreign_keys)
        ],
        triggers=[f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in names],
    )
