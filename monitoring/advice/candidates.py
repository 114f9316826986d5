"""Which indexes could serve what plans wish for. None of them is right until the planner uses it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from monitoring.advice.conditions import Constant, Key, Table, Wish
from monitoring.advice.relations import Existing, Relation, normal
from monitoring.advice.texts import quoted

LEAST_ROWS = 1000
LEAST_BYTES = 1024 * 1024  # of the table; a smaller one is read faster than thought about
KEYS_MAX = 3  # compared columns in one index
INCLUDED_MAX, INCLUDED_BYTES = 3, 32
KEY_BYTES = 200
CONSTANT_DISTINCT = 20  # a constant is worth a condition of its own only where there are few


@dataclass(frozen=True, order=True)
class Candidate:
    """An index that could be: btree keys, included columns, and the conditions of a partial one."""

    table: Table
    keys: tuple[Key, ...]
    included: tuple[str, ...] = ()
    where: tuple[Constant, ...] = ()

    @property
    def table_sql(self) -> str:
        return ".".join(quoted(part) for part in self.table)

    @property
    def definition(self) -> str:
        """What stands behind the table's name: `(a, b DESC) INCLUDE (c) WHERE d IS NULL`."""
        text = f"({', '.join(key.sql for key in self.keys)})"
        if self.included:
            text += f" INCLUDE ({', '.join(quoted(name) for name in self.included)})"
        if self.where:
            text += f" WHERE {' AND '.join(constant.sql for constant in self.where)}"
        return text

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(key.column for key in self.keys)


def proposed(wish: Wish, relation: Relation) -> Iterator[Candidate]:
    """Yield the indexes that could serve one wish, unless the table is small or has such an index."""
    if relation.rows < LEAST_ROWS or relation.bytes < LEAST_BYTES:
        return
    seen: set[Candidate] = set()
    for candidate in _variants(wish, relation):
        if (
            candidate not in seen
            and _is_sound(candidate, relation)
            and not is_served(candidate, relation)
        ):
            seen.add(candidate)
            yield candidate


def _variants(wish: Wish, relation: Relation) -> Iterator[Candidate]:
    for where in _conditions(wish, relation):
        fixed = {constant.column for constant in where}
        equal = sorted(wish.equal - fixed, key=lambda name: (-relation.distinct(name), name))
        for keys in _keys(equal, sorted(wish.ranges - fixed), wish.order):
            yield Candidate(relation.table, keys, (), where)
            included = _included(wish, relation, {key.column for key in keys} | fixed)
            if included and len(keys) >= min(len(equal), KEYS_MAX):
                yield Candidate(relation.table, keys, included, where)
        for column in sorted(wish.either):
            yield Candidate(relation.table, (Key(column),), (), where)


def _conditions(wish: Wish, relation: Relation) -> list[tuple[Constant, ...]]:
    """Return the conditions that a partial index could have: none, each alone, all together."""
    worth = sorted(c for c in wish.constants if _is_worth(c, relation))
    found: list[tuple[Constant, ...]] = [(), *((constant,) for constant in worth)]
    return found if len(worth) < 2 else [*found, tuple(worth)]


def _is_worth(constant: Constant, relation: Relation) -> bool:
    return constant.sense != "equal" or 0 < relation.distinct(constant.column) <= CONSTANT_DISTINCT


def _keys(equal: list[str], ranges: list[str], order: tuple[Key, ...]) -> Iterator[tuple[Key, ...]]:
    """Yield orders of columns: those compared first, then one range or the wanted order of rows."""
    for column in equal[:KEYS_MAX]:
        yield (Key(column),)
    for count in range(min(len(equal), KEYS_MAX) + 1):
        head = tuple(Key(column) for column in equal[:count])
        if count > 1:
            yield head
        if order:
            yield from _ordered(head, order)
        for column in ranges:
            yield (*head, Key(column))
    if order and ranges:
        for column in equal[:KEYS_MAX]:
            yield from _ordered((Key(column),), order)


def _ordered(head: tuple[Key, ...], order: tuple[Key, ...]) -> Iterator[tuple[Key, ...]]:
    fixed = {key.column for key in head}
    yield (*head, *(key for key in order if key.column not in fixed))


def _included(wish: Wish, relation: Relation, present: set[str]) -> tuple[str, ...]:
    """Return the columns with which the index could be read alone, when they are few and narrow."""
    if wish.read is None or not wish.read <= relation.columns.keys():
        return ()
    rest = tuple(sorted(wish.read - present))
    widths = [relation.columns[name].width for name in rest]
    if len(rest) > INCLUDED_MAX or any(width is None for width in widths):
        return ()
    return rest if sum(width or 0 for width in widths) <= INCLUDED_BYTES else ()


def _is_sound(candidate: Candidate, relation: Relation) -> bool:
    columns = candidate.columns
    known = all(column in relation.columns for column in (*columns, *candidate.included))
    if not columns or not known or len(set(columns)) != len(columns):
        return False
    return all((relation.columns[column].width or 0) <= KEY_BYTES for column in columns)


def is_served(candidate: Candidate, relation: Relation) -> bool:
    """Whether an index of the table begins with these keys, holds these columns and covers these rows."""
    return serving(candidate, relation.indexes) is not None


def serving(candidate: Candidate, indexes: Iterable[Existing]) -> Existing | None:
    """Return the index that does what the candidate would, if there is one."""
    wanted = held(candidate)
    for index in indexes:
        columns = {key.column for key in index.keys} | set(index.included)
        is_within = index.condition in (frozenset(), wanted)
        if is_within and set(candidate.included) <= columns and _begins(candidate.keys, index.keys):
            return index
    return None


def _begins(keys: tuple[Key, ...], longer: tuple[Key, ...]) -> bool:
    """Whether an index has the keys first, forwards or all of them backwards."""
    first = longer[: len(keys)]
    return first == keys or first == tuple(_reversed(key) for key in keys)


def _reversed(key: Key) -> Key:
    nulls = {"FIRST": "LAST", "LAST": "FIRST"}.get(key.nulls, "")
    return Key(key.column, not key.is_descending, nulls)


def held(candidate: Candidate) -> frozenset[str]:
    """Return the conditions of a partial index in the form in which existing ones are compared."""
    parts = (normal(constant.sql) for constant in candidate.where)
    return frozenset(text for part in parts for text in part)


def made_redundant(candidate: Candidate, indexes: Iterable[Existing]) -> tuple[str, ...]:
    """Return the names of indexes that would only be a beginning of this one. A unique one keeps a rule."""
    columns = {*candidate.columns, *candidate.included}
    return tuple(
        index.name
        for index in indexes
        if not index.is_unique
        and index.condition == held(candidate)
        and set(index.included) <= columns
        and _begins(index.keys, candidate.keys)
    )
