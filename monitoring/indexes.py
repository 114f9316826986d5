"""Indexes as the models declare them beside those that the database has.

PostgreSQL says what a declaration means: the models are created in a schema of its own, inside a
transaction that is rolled back, and the definitions of both are compared. Conditions, operator classes
and included columns are so compared in the server's own words.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db import ProgrammingError, connection, models, transaction

from khaacho import sql

SCRATCH = "khaacho_declared"
LAST_SCAN_SINCE = 16_00_00  # the version of PostgreSQL that began to remember it


class Kind(StrEnum):
    MISSING = "missing"
    INVALID = "invalid"
    DIFFERENT = "different"
    DUPLICATE = "duplicate"
    PREFIX = "prefix"
    UNDECLARED = "undeclared"
    UNUSED = "unused"


FAULTS = (Kind.MISSING, Kind.INVALID, Kind.DIFFERENT, Kind.DUPLICATE, Kind.PREFIX)


@dataclass(frozen=True)
class Index:
    """One index. `definition` is what stands behind its table's name; `keys` are its columns in their words.

    `scans` are counted since the statistics were reset; `last_scan` is known from PostgreSQL 16 on.
    """

    table: str
    name: str
    definition: str
    keys: tuple[str, ...]
    included: tuple[str, ...]
    condition: str
    method: str
    is_unique: bool
    is_valid: bool
    size: int
    scans: int
    last_scan: datetime | None


@dataclass(frozen=True)
class Finding:
    """What is wrong with one index, or only worth knowing."""

    kind: Kind
    table: str
    index: str
    detail: str

    @property
    def is_fault(self) -> bool:
        return self.kind in FAULTS


@dataclass(frozen=True)
class Report:
    """All indexes of the models' tables, what was found, and since when scans are counted."""

    indexes: tuple[Index, ...]
    findings: tuple[Finding, ...]
    counted_since: datetime | None


INDEXES = """
SELECT t.relname, c.relname, substring(pg_get_indexdef(i.indexrelid) FROM ' USING .*$'),
    ARRAY(SELECT concat_ws(' ', pg_get_indexdef(i.indexrelid, n, true), o.opcname, i.indoption[n - 1],
            nullif(i.indcollation[n - 1], 0)) FROM generate_series(1, i.indnkeyatts) n
        JOIN pg_opclass o ON o.oid = i.indclass[n - 1] ORDER BY n),
    ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, true)
        FROM generate_series(i.indnkeyatts + 1, i.indnatts) n ORDER BY n),
    coalesce(pg_get_expr(i.indpred, i.indrelid, true), ''), m.amname, i.indisunique,
    i.indisvalid AND i.indisready, coalesce(p.size, pg_relation_size(c.oid)), coalesce(p.scans, s.idx_scan, 0),
    coalesce(p.last_scan, {last_scan})
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_am m ON m.oid = c.relam
LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = i.indexrelid
LEFT JOIN LATERAL (SELECT sum(pg_relation_size(tree.relid))::bigint AS size, sum(s.idx_scan)::bigint AS scans,
        max({last_scan}) AS last_scan
    FROM pg_partition_tree(c.oid) tree JOIN pg_stat_all_indexes s ON s.indexrelid = tree.relid) p
    ON c.relkind = 'I'
WHERE t.relnamespace = %(schema)s::regnamespace AND t.relname = ANY(%(tables)s)
ORDER BY t.relname, c.relname
"""
# Columns that a partitioned table is divided by: PostgreSQL wants them in each of its unique indexes.
DIVIDED_BY = """
SELECT t.relname, array_agg(a.attname ORDER BY a.attnum) FROM pg_partitioned_table p
JOIN pg_class t ON t.oid = p.partrelid
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY (p.partattrs::int2[])
WHERE t.relnamespace = %s::regnamespace GROUP BY t.relname
"""


def report() -> Report:
    """Compare all indexes of the models' tables with their declarations; changes nothing.

    The role must be allowed to create a schema. Takes about a second, and no lock on the tables.
    """
    tables = {model._meta.db_table: model for model in _models()}
    present, divided = indexes(_schema(), tables), dict(sql.fetch(DIVIDED_BY, [_schema()]))
    with _scratch():
        wanted = indexes(SCRATCH, tables)
        restored = _restored([*wanted, *present])
    wanted, present = _reread(wanted, restored), _reread(present, restored)
    wanted = [_divided(index, divided.get(index.table, ())) for index in wanted]
    mine = [index for index in present if _is_ours(tables[index.table])]
    row = sql.fetch_one(
        "SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()"
    )
    return Report(
        indexes=tuple(present),
        findings=(
            *_compared(wanted, present),
            *(
                Finding(Kind.INVALID, index.table, index.name, "its build failed; build it again")
                for index in present
                if not index.is_valid
            ),
            *_redundant(mine, {index.name for index in wanted}),
            *(
                Finding(Kind.UNUSED, index.table, index.name, "no scan since statistics were reset")
                for index in mine
                if not index.scans and not index.is_unique
            ),
        ),
        counted_since=row[0] if row else None,
    )


def indexes(schema: str, tables: Iterable[str]) -> list[Index]:
    """Return the indexes of the tables in a schema. One statement."""
    last_scan = "s.last_idx_scan" if remembers_last_scans() else "NULL::timestamptz"
    statement = INDEXES.format(last_scan=last_scan)
    rows = sql.fetch(statement, {"schema": schema, "tables": list(tables)})
    return [
        Index(table, name, definition, tuple(keys), tuple(included), *rest)
        for table, name, definition, keys, included, *rest in rows
    ]


def remembers_last_scans() -> bool:
    """Whether this server knows when an index was used last."""
    [(version,)] = sql.fetch("SELECT current_setting('server_version_num')::int")
    return bool(version >= LAST_SCAN_SINCE)


@contextmanager
def _scratch() -> Iterator[None]:
    """Have the models' tables, empty, in a schema of their own; roll everything back afterwards."""
    with transaction.atomic():
        schema = _schema()
        sql.execute(f"CREATE SCHEMA {SCRATCH}")
        sql.execute(f"SET LOCAL search_path = {SCRATCH}, {schema}")
        with connection.schema_editor(atomic=False) as editor:
            for model in _models():
                if not model._meta.auto_created:
                    editor.create_model(model)
        yield
        transaction.set_rollback(True)


def _restored(found: Iterable[Index]) -> dict[tuple[str, str], Index]:
    """Return the conditional ones, by table and definition, as they stand after a dump and a restore.

    PostgreSQL writes the casts of a list otherwise once it has read them from its own words: each is built again,
    on the empty table in the scratch schema.
    """
    conditional = sorted({(index.table, index.definition) for index in found if index.condition})
    with transaction.atomic():
        for number, (table, definition) in enumerate(conditional):
            with suppress(ProgrammingError), transaction.atomic():  # of a column that no model has
                name = connection.ops.quote_name(table)
                sql.execute(f"CREATE INDEX restored_{number} ON {SCRATCH}.{name}{definition}")
        again = {index.name: index for index in indexes(SCRATCH, {each for each, _ in conditional})}
        transaction.set_rollback(True)
    return {
        each: again[f"restored_{number}"]
        for number, each in enumerate(conditional)
        if f"restored_{number}" in again
    }


def _reread(found: list[Index], restored: Mapping[tuple[str, str], Index]) -> list[Index]:
    """Return the indexes, the conditional ones in the words that they have once restored."""
    return [
        replace(index, definition=again.definition, condition=again.condition)
        if (again := restored.get((index.table, index.definition)))
        else index
        for index in found
    ]


def _divided(index: Index, by: Sequence[str]) -> Index:
    """Return the index with the columns that one of a partitioned table must have to be unique."""
    more = [column for column in by if column not in {key.split(" ", 1)[0] for key in index.keys}]
    if not index.is_unique or not more:
        return index
    definition = index.definition.replace(")", f", {', '.join(more)})", 1)
    return replace(index, definition=definition, keys=(*index.keys, *more))


def _models() -> list[type[models.Model]]:
    every = apps.get_models(include_auto_created=True)
    return [m for m in every if m._meta.managed and not m._meta.proxy and not m._meta.swapped]


def _is_ours(model: type[models.Model]) -> bool:
    """Whether the model is this project's; Django's own tables have redundant indexes by design."""
    home = Path(model._meta.app_config.path).parent
    return home == Path(settings.BASE_DIR) and not model._meta.auto_created


def _schema() -> str:
    [(name,)] = sql.fetch("SELECT current_schema()")
    return str(name)


def _compared(wanted: list[Index], present: list[Index]) -> Iterator[Finding]:
    """Match by name, else by what an index is: an older migration may have named it otherwise."""
    by_name = {(index.table, index.name): index for index in present}
    same = {(index.table, index.is_unique, index.definition) for index in present}
    known = {(index.table, index.is_unique, index.definition) for index in wanted}
    names = {(index.table, index.name) for index in wanted}
    for index in wanted:
        found = by_name.get((index.table, index.name))
        if found is None:
            if (index.table, index.is_unique, index.definition) not in same:
                yield Finding(Kind.MISSING, index.table, index.name, _said(index))
        elif (found.is_unique, found.definition) != (index.is_unique, index.definition):
            detail = f"is{_said(found)}, declared{_said(index)}"
            yield Finding(Kind.DIFFERENT, index.table, index.name, detail)
    for index in present:
        is_known = (index.table, index.is_unique, index.definition) in known
        if (index.table, index.name) not in names and not is_known:
            yield Finding(Kind.UNDECLARED, index.table, index.name, _said(index))


def _said(index: Index) -> str:
    return f"{' UNIQUE' if index.is_unique else ''}{index.definition}"


def _redundant(present: list[Index], declared_names: set[str]) -> Iterator[Finding]:
    """Find what another index of the table does as well. A unique one keeps a rule beside. Sorted by table."""
    beside = {table: list(them) for table, them in groupby(present, attrgetter("table"))}
    for index in present:
        for other in beside[index.table]:
            if index.name == other.name or not _could_serve(other, index):
                continue
            if index.keys != other.keys:
                if not index.is_unique:
                    detail = f"the beginning of {other.name}"
                    yield Finding(Kind.PREFIX, index.table, index.name, detail)
            elif _worth(index, declared_names) > _worth(other, declared_names):
                yield Finding(Kind.DUPLICATE, index.table, index.name, f"the same as {other.name}")


def _worth(index: Index, declared_names: set[str]) -> tuple[bool, int, bool, str]:
    """Return the rank of one among those with the same keys; the first is the one to keep."""
    is_declared = index.name in declared_names
    return not index.is_unique, -len(index.included), not is_declared, index.name


def _could_serve(other: Index, index: Index) -> bool:
    """Whether `other` finds whatever `index` finds, in the same order, and gives the same columns."""
    columns = {key.split(" ", 1)[0] for key in other.keys} | set(other.included)
    return (
        (other.table, other.method, other.condition) == (index.table, index.method, index.condition)
        and (other.keys == index.keys or other.method == "btree")
        and other.keys[: len(index.keys)] == index.keys
        and columns.issuperset(index.included)
    )
