"""What a database holds, counted: the rows of each table, and the sum of each column of money.

The same statements count the snapshot that is dumped and the copy that is restored; what both say must be
equal to the paisa. Sums are text, as PostgreSQL writes a numeric.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from psycopg import sql as compose

from monitoring.backups.server import Connection

# Leaves only: a partitioned table has no rows of its own. What belongs to an extension is not dumped.
TABLES = """
SELECT n.nspname, c.relname, coalesce(array_agg(a.attname ORDER BY a.attnum) FILTER (
    WHERE a.attname IS NOT NULL), '{}')
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    AND a.atttypid = 'numeric'::regtype
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
    AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
GROUP BY n.nspname, c.relname ORDER BY n.nspname, c.relname
"""
MIGRATIONS = "SELECT app, max(name) FROM django_migrations GROUP BY app ORDER BY app"
# Tables that a migrated database fills by itself; rows in any other are somebody's.
BY_ITSELF = frozenset(
    f"public.{name}"
    for name in (
        "django_migrations",
        "django_content_type",
        "auth_permission",
        "auth_group",
        "auth_group_permissions",
        "fiscal_years",
        "alert_rules",
        "queue_settings",
        "statement_forms",
        "statement_places",
        "statement_spans",
        "origin_spans",
        "django_celery_beat_periodictask",
        "django_celery_beat_periodictasks",
        "django_celery_beat_crontabschedule",
        "django_celery_beat_intervalschedule",
    )
)
LEDGER = "public.credit_ledgers"


@dataclass(frozen=True)
class Table:
    """How many rows a table has, and the sum of each of its numeric columns."""

    rows: int
    sums: Mapping[str, str] = field(default_factory=dict)


Tables = Mapping[str, Table]  # by `schema.name`


def count(connection: Connection) -> Tables:
    """Count every table in this session's transaction, or each by itself where there is none."""
    found = connection.execute(TABLES).fetchall()
    return {
        f"{schema}.{name}": _table(connection, schema, name, sums) for schema, name, sums in found
    }


def _table(connection: Connection, schema: str, name: str, columns: Sequence[str]) -> Table:
    parts: list[compose.Composable] = [compose.SQL("count(*)")]
    parts += [
        compose.SQL("coalesce(sum({}), 0)::text").format(compose.Identifier(column))
        for column in columns
    ]
    statement = compose.SQL("SELECT {} FROM ONLY {}").format(
        compose.SQL(", ").join(parts), compose.Identifier(schema, name)
    )
    row = connection.execute(statement).fetchone()
    assert row is not None
    return Table(row[0], dict(zip(columns, row[1:], strict=True)))


def migration_heads(connection: Connection) -> Mapping[str, str]:
    """Return the newest applied migration of each app; none where there is no table of them."""
    row = connection.execute("SELECT to_regclass('public.django_migrations')").fetchone()
    if row is None or row[0] is None:
        return {}
    heads: dict[str, str] = dict(connection.execute(MIGRATIONS).fetchall())
    return heads


def filled(connection: Connection) -> list[str]:
    """Return the tables that hold somebody's rows; what migrations write by themselves is nobody's."""
    names = [
        (schema, name)
        for schema, name, _ in connection.execute(TABLES).fetchall()
        if f"{schema}.{name}" not in BY_ITSELF
    ]
    found = []
    for schema, name in names:
        statement = compose.SQL("SELECT EXISTS (SELECT FROM {})")
        row = connection.execute(statement.format(compose.Identifier(schema, name))).fetchone()
        if row and row[0]:
            found.append(f"{schema}.{name}")
    return found


def differences(expected: Tables, found: Tables) -> list[str]:
    """Say in sentences what is not equal; nothing when all is."""
    said = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    said += [f"{name} should not be there" for name in sorted(found.keys() - expected.keys())]
    for name in sorted(expected.keys() & found.keys()):
        was, now = expected[name], found[name]
        if was.rows != now.rows:
            said.append(f"{name} has {now.rows} rows instead of {was.rows}")
        said += [
            f"the sum of {name}.{column} is {now.sums.get(column, 'missing')} instead of {total}"
            for column, total in was.sums.items()
            if now.sums.get(column) != total
        ]
    return said


def rows(tables: Tables) -> int:
    return sum(table.rows for table in tables.values())


def ledger_sum(tables: Tables) -> str:
    """Return the sum of all ledger entries in NPR: what all retailers owe."""
    return tables[LEDGER].sums.get("amount", "0") if LEDGER in tables else "0"
