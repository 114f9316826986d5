"""Where an index may be missing, as far as can be told without trying: a hint, not advice."""

from dataclasses import dataclass

import psycopg

from monitoring.advice.candidates import LEAST_ROWS
from monitoring.advice.conditions import Table
from monitoring.advice.planning import Planner

LEAST_BYTES = 8 * 1024 * 1024
AT_MOST = 20
FOREIGN_KEYS = """
SELECT schemaname, tablename, columns, constraint_name, references_table, estimated_rows
FROM monitor.unindexed_foreign_keys WHERE estimated_rows >= %s ORDER BY estimated_rows DESC, id LIMIT %s
"""
PRESSURE = """
SELECT schema, "table", live_tuples, seq_tup_read FROM missing_indexes
WHERE table_size >= %s ORDER BY seq_tup_read DESC, id LIMIT %s
"""


@dataclass(frozen=True)
class Hint:
    """A table worth a look. `columns` are those of a foreign key without an index; of a table that is read
    whole again and again they are not known. `rows_read` are those that sequential scans read."""

    table: Table
    columns: tuple[str, ...] = ()
    constraint: str = ""
    references: str = ""
    rows: int = 0
    rows_read: int = 0


def hints(planner: Planner) -> tuple[Hint, ...]:
    """Return foreign keys that no index covers, then tables that are mostly read whole; none while
    their catalogue is locked."""
    try:
        with planner.trying():
            keys = planner.fetch(FOREIGN_KEYS, [LEAST_ROWS, AT_MOST])
            pressed = planner.fetch(PRESSURE, [LEAST_BYTES, AT_MOST])
    except psycopg.Error:
        return ()
    return (
        *(
            Hint((schema, table), tuple(columns.split(", ")), name, other, rows)
            for schema, table, columns, name, other, rows in keys
        ),
        *(
            Hint((schema, table), rows=live, rows_read=read)
            for schema, table, live, read in pressed
        ),
    )
