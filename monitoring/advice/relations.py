"""What the tables are like: size, columns, how often they are written, and the indexes they have.

Read from the catalogue without locking any table; a partition stands for the table it is a part of.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from monitoring.advice.conditions import Key, Table, split
from monitoring.advice.planning import Planner
from monitoring.advice.texts import Token, tokens

PAGE = 8192
UNIQUE_ROWS = 1e9  # stands for n_distinct of a column that never repeats

RELATIONS = """
WITH wanted AS (
    SELECT n.nspname, c.relname, c.oid, coalesce(pg_partition_root(c.oid)::oid, c.oid) AS root
    FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w (nspname, relname)
    JOIN pg_namespace n ON n.nspname = w.nspname
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.relname
), parts AS (
    SELECT r.root, coalesce(t.relid::oid, r.root) AS oid
    FROM (SELECT DISTINCT root FROM wanted) r
    LEFT JOIN LATERAL pg_partition_tree(r.root) t ON true
    WHERE t.relid IS NULL OR t.isleaf
)
SELECT w.nspname, w.relname, rn.nspname, rc.relname, rc.relkind = 'p', s.row_count, s.pages, s.inserted,
    s.updated, s.hot, s.parts, s.oids
FROM wanted w
JOIN pg_class rc ON rc.oid = w.root
JOIN pg_namespace rn ON rn.oid = rc.relnamespace
JOIN LATERAL (
    SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::float8 AS row_count, coalesce(sum(c.relpages), 0)::bigint AS pages,
        coalesce(sum(pg_stat_get_tuples_inserted(c.oid)), 0)::bigint AS inserted,
        coalesce(sum(pg_stat_get_tuples_updated(c.oid)), 0)::bigint AS updated,
        coalesce(sum(pg_stat_get_tuples_hot_updated(c.oid)), 0)::bigint AS hot,
        array_agg(ARRAY[pn.nspname::text, c.relname::text]) AS parts, array_agg(c.oid) AS oids
    FROM parts p JOIN pg_class c ON c.oid = p.oid JOIN pg_namespace pn ON pn.oid = c.relnamespace
    WHERE p.root = w.root
) s ON true
WHERE rc.relkind IN ('r', 'p', 'm') AND rn.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    AND rc.relpersistence <> 't'
"""
COLUMNS = """
SELECT c.oid, a.attname, max(CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * %(unique)s
        ELSE s.n_distinct END), max(s.avg_width)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
WHERE c.oid = ANY(%(oids)s)
GROUP BY c.oid, a.attname
"""
# An expression is a key without a name; an operator class or collation that is not the usual one as well.
INDEXES = """
SELECT i.indrelid, c.relname, i.indisunique,
    ARRAY(SELECT CASE WHEN o.opcdefault AND i.indcollation[k - 1] = coalesce(a.attcollation, 0)
            THEN coalesce(a.attname, '') ELSE '' END
        FROM generate_series(1, i.indnkeyatts) k
        JOIN pg_opclass o ON o.oid = i.indclass[k - 1]
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k - 1]
        ORDER BY k),
    ARRAY(SELECT i.indoption[k - 1] FROM generate_series(1, i.indnkeyatts) k ORDER BY k),
    ARRAY(SELECT a.attname FROM generate_series(i.indnkeyatts + 1, i.indnatts) k
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k - 1] ORDER BY k),
    coalesce(pg_get_expr(i.indpred, i.indrelid), '')
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
WHERE i.indrelid = ANY(%(oids)s) AND i.indisvalid
ORDER BY c.relname
"""


@dataclass(frozen=True)
class Column:
    """`distinct` estimates its different values, `width` its bytes; None when never analysed."""

    name: str
    distinct: float | None
    width: int | None


@dataclass(frozen=True)
class Existing:
    """A valid btree index. A key of an expression, or of unusual operators, has the column ""."""

    name: str
    is_unique: bool
    keys: tuple[Key, ...]
    included: tuple[str, ...]
    condition: frozenset[str]


@dataclass
class Relation:
    """A table, or a partitioned table with all its parts. Counts of writes are since statistics began."""

    table: Table
    is_partitioned: bool
    rows: float
    bytes: int
    inserted: int
    updated: int
    hot_updated: int
    parts: list[Table] = field(default_factory=list)
    columns: dict[str, Column] = field(default_factory=dict)
    indexes: list[Existing] = field(default_factory=list)

    @property
    def entries_written(self) -> int:
        """How many entries one more index would have been given in the same time, at least."""
        return self.inserted + self.updated - self.hot_updated

    def distinct(self, column: str) -> float:
        """Return how many different values there are; 0 when nobody knows."""
        known = self.columns.get(column)
        return (known.distinct or 0) if known else 0


def load(planner: Planner, tables: Iterable[Table]) -> dict[Table, Relation]:
    """Return by each table its relation; partitions share their root's. Three statements."""
    wanted = sorted(set(tables))
    rows = planner.fetch(
        RELATIONS, {"schemas": [t[0] for t in wanted], "names": [t[1] for t in wanted]}
    )
    found: dict[Table, Relation] = {}
    owners: dict[int, Relation] = {}
    for schema, name, root_schema, root_name, is_parted, count, pages, *writes, parts, oids in rows:
        root = (root_schema, root_name)
        if root not in found:
            pieces = [(part[0], part[1]) for part in parts or ()]
            inserted, updated, hot = writes
            found[root] = Relation(
                root, is_parted, count, pages * PAGE, inserted, updated, hot, pieces
            )
        found[(schema, name)] = found[root]
        owners.update(dict.fromkeys(oids or (), found[root]))
    _read_columns(planner, owners)
    _read_indexes(planner, owners)
    return found


def _read_columns(planner: Planner, owners: Mapping[int, Relation]) -> None:
    values = {"oids": list(owners), "unique": UNIQUE_ROWS}
    for oid, name, distinct, width in planner.fetch(COLUMNS, values):
        columns = owners[oid].columns
        before = columns.get(name)
        if before is None or (before.distinct or 0) < (distinct or 0):
            columns[name] = Column(name, distinct, width)


def _read_indexes(planner: Planner, owners: Mapping[int, Relation]) -> None:
    for oid, name, is_unique, columns, options, included, condition in planner.fetch(
        INDEXES, {"oids": list(owners)}
    ):
        keys = tuple(_key(*each) for each in zip(columns, options, strict=True))
        held = frozenset() if not condition else normal(condition)
        owners[oid].indexes.append(Existing(name, is_unique, keys, tuple(included), held))


def _key(column: str, option: int) -> Key:
    """Read a key's direction: bit 1 is DESC, bit 2 NULLS FIRST."""
    is_descending, is_first = bool(option & 1), bool(option & 2)
    nulls = "" if is_descending == is_first else ("FIRST" if is_first else "LAST")
    return Key(column, is_descending, nulls)


def normal(condition: str) -> frozenset[str]:
    """Return the parts of a predicate, each without brackets, casts and spaces, to compare them by."""
    return frozenset(_said(part) for part in split(tokens(condition), "and"))


def _said(words: list[Token]) -> str:
    kept, after_cast = [], False
    for word in words:
        if word.kind == "cast":
            after_cast = True
        elif after_cast and (word.kind == "word" or word.text in "()[]"):
            after_cast = word.kind == "word"
        else:
            after_cast = False
            if word.text not in "()":
                kept.append(word.text.lower() if word.kind == "word" else word.text)
    return " ".join(kept)
