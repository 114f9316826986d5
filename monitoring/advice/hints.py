"""Where an index may be missing, as far as can be told without trying: a hint, not advice."""

from dataclasses import dataclass

import psycopg

from monitoring.advice.candidates import LEAST_ROWS
from monitoring.advice.planning import Planner

FOREIGN_KEYS = """
SELECT tablename, columns, constraint_name, references_table, estimated_rows
FROM monitor.unindexed_foreign_keys WHERE estimated_rows >= %s ORDER BY estimated_rows DESC LIMIT 20
"""
PRESSURE = """
SELECT * FROM missing_indexes ORDER BY seq_tup_read DESC LIMIT 20
"""


@dataclass(frozen=True)
class Hint:
    """A table worth a look. `columns` are those of a foreign key without an index; of a table that is read
    whole again and again they are not known. `table` and `columns` are as SQL writes them."""

    table: str
    columns: str
    constraint: str = ""
    references: str = ""
    rows: int = 0
    rows_read: int = 0


def hints(planner: Planner) -> tuple[Hint, ...]:
    """Return foreign keys that no index covers, then tables that are mostly read whole; none while
    their catalogue is locked."""
    try:
        with planner.trying():
            keys = planner.fetch(FOREIGN_KEYS, [LEAST_ROWS])
            pressed = planner.fetch(PRESSURE)
    except psycopg.Error:
        return ()
    return (
        *(Hint(table, columns, name, other, rows) for table, columns, name, other, rows in keys),
        *(Hint(table, "", rows=live, rows_read=read) for table, live, read in pressed),
    )
