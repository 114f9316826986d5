"""What maintenance may be done to: tables and indexes of the schema that holds our own, by the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql as compose

from khaacho import sql
from khaacho.exceptions import Invalid
from monitoring.maintenance.kinds import RULES, MaintenanceKind

# A partitioned table is worked on by its partitions: it has no rows of its own.
FIND = """
SELECT n.nspname, c.relname, c.relkind, coalesce(t.relname, c.relname), t.oid IS NOT NULL AND NOT i.indisvalid
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indexrelid = c.oid
LEFT JOIN pg_class t ON t.oid = i.indrelid
WHERE n.nspname = current_schema() AND c.relkind::text = ANY (%(kinds)s) AND c.relpersistence <> 't'
"""


@dataclass(frozen=True)
class Target:
    """A table or an index as the catalogue knows it; `table` is the index's, or itself."""

    schema: str
    name: str
    relkind: str
    table: str
    is_invalid: bool

    @property
    def quoted(self) -> str:
        """Return the name with its schema as it may stand in a statement."""
        return compose.Identifier(self.schema, self.name).as_string()


def choices(kinds: str) -> list[str]:
    """Return the names of our relations of these kinds (`pg_class.relkind`), in order."""
    found = sql.fetch(FIND + " ORDER BY c.relname", {"kinds": list(kinds)})
    return [row[1] for row in found]


def find(kind: MaintenanceKind, name: str) -> Target:
    """Return what `name` is in the catalogue. Raises Invalid unless this kind may be done to it."""
    found = sql.fetch(
        FIND + " AND c.relname = %(name)s", {"kinds": list(RULES[kind].relkinds), "name": name}
    )
    if not found:
        raise Invalid(errors={"target": [f"{name!r} is none of ours to which this can be done."]})
    return Target(*found[0])


# What a REINDEX CONCURRENTLY that failed leaves: each write goes on paying for it, no query uses it.
LEFT_OVER = """
SELECT c.relname FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND t.relname = %s AND NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'
ORDER BY c.relname
"""


def left_over(target: Target) -> Sequence[str]:
    """Return the statements that drop what failed REINDEXes left on the target's table."""
    found = sql.fetch(LEFT_OVER, [target.schema, target.table])
    return [
        f"DROP INDEX CONCURRENTLY {compose.Identifier(target.schema, row[0]).as_string()};"
        for row in found
    ]
