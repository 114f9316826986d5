"""What a plan wants of a table: columns that are compared, in which order rows are needed, and what always holds.

Reads the conditions as EXPLAIN (VERBOSE) writes them: every column with its alias before it. What is not
understood (an expression, a cast that changes the value) is no wish for an index.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitoring.advice.texts import Token, quoted, tokens, unquoted

Node = dict[str, Any]
Table = tuple[str, str]  # schema, name
CONDITIONS = ("Filter", "Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter")
PASSING = frozenset({"Gather", "Gather Merge", "Result", "Subquery Scan", "LockRows", "Limit"})
RANGES = frozenset({"<", "<=", ">", ">="})
# Casts that leave an index on the bare column usable: varchar is compared as text.
HARMLESS = ("text", "bpchar", "character varying")
BRACKETS = {"(": 1, ")": -1, "[": 1, "]": -1}


@dataclass(frozen=True, order=True)
class Key:
    """One column of an index, in its direction; nulls come last going up and first going down, unless said."""

    column: str
    is_descending: bool = False
    nulls: str = ""  # "FIRST" or "LAST" where it is not the usual

    @property
    def sql(self) -> str:
        parts = (
            quoted(self.column),
            "DESC" * self.is_descending,
            f"NULLS {self.nulls}" * bool(self.nulls),
        )
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, order=True)
class Constant:
    """What holds for all rows that a statement wants: `sense` is null, not null, true, false or equal.

    `literal` is the constant as SQL, of an equality.
    """

    column: str
    sense: str
    literal: str = ""

    @property
    def sql(self) -> str:
        name = quoted(self.column)
        return {
            "null": f"{name} IS NULL",
            "not null": f"{name} IS NOT NULL",
            "true": name,
            "false": f"NOT {name}",
            "equal": f"{name} = {self.literal}",
        }[self.sense]


@dataclass
class Wish:
    """What one statement wants of one table under one alias.

    `either` are columns compared in an OR. `read` are all columns that an index would have to hold to be
    read alone; None when it never could.
    """

    table: Table
    equal: set[str] = field(default_factory=set)
    ranges: set[str] = field(default_factory=set)
    either: set[str] = field(default_factory=set)
    order: tuple[Key, ...] = ()
    constants: set[Constant] = field(default_factory=set)
    read: set[str] | None = field(default_factory=set)


def wishes(plan: Node) -> dict[str, Wish]:
    """Return by alias what a plan (of EXPLAIN VERBOSE) wants of the tables that it scans."""
    found: dict[str, Wish] = {}
    for node, _ in walk(plan):
        if "Relation Name" in node and node["Node Type"] != "ModifyTable":
            table = (str(node["Schema"]), str(node["Relation Name"]))
            found[str(node.get("Alias", table[1]))] = Wish(table)
    for node, above in walk(plan):
        for name in CONDITIONS:
            if name in node:
                _read_condition(found, tokens(str(node[name])), is_scan=_scans(node))
        if "Sort Key" in node and _is_limited(above):
            _read_order(found, node["Sort Key"])
        _read_columns(found, node, is_root=not above)
    return found


def tables(plan: Node) -> set[Table]:
    """Return the tables that a plan touches."""
    return {
        (str(node["Schema"]), str(node["Relation Name"]))
        for node, _ in walk(plan)
        if "Relation Name" in node and "Schema" in node
    }


def walk(node: Node, above: tuple[Node, ...] = ()) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Yield every node with those above it, the root first."""
    yield node, above
    for child in node.get("Plans", ()):
        yield from walk(child, (*above, node))


def _scans(node: Node) -> bool:
    return "Relation Name" in node or node["Node Type"] == "Bitmap Index Scan"


def _is_limited(above: Sequence[Node]) -> bool:
    """Whether only a beginning of the sorted rows is wanted."""
    for node in reversed(above):
        if node["Node Type"] == "Limit":
            return True
        if node["Node Type"] not in PASSING:
            return False
    return False


def _read_condition(found: dict[str, Wish], words: list[Token], *, is_scan: bool) -> None:
    for part in split(words, "and"):
        choices = split(part, "or")
        if len(choices) > 1:
            for choice in choices:
                _read_choice(found, choice)
        else:
            _read_comparison(found, part, is_scan=is_scan)


def _read_choice(found: dict[str, Wish], words: list[Token]) -> None:
    alone: dict[str, Wish] = {alias: Wish(wish.table) for alias, wish in found.items()}
    for part in split(words, "and"):
        _read_comparison(alone, part, is_scan=False)
    for alias, wish in alone.items():
        found[alias].either |= wish.equal


def _read_comparison(found: dict[str, Wish], words: list[Token], *, is_scan: bool) -> None:
    words = _bare(words)
    if is_scan and (held := _constant(found, words)):
        alias, constant = held
        found[alias].constants.add(constant)
        if constant.sense != "equal":
            return
    place = _operator(words)
    if place is None:
        return
    sign, left, right = words[place].text, words[:place], words[place + 1 :]
    if right and right[0].says("any"):
        right = right[1:]
    elif any(word.says("any", "all") for word in right[:1]):
        return
    for side, other in ((left, right), (right, left)):
        column = column_of(side)
        if column is None or column[0] not in found or column[0] in aliases(other):
            continue
        wish = found[column[0]]
        (wish.equal if sign == "=" else wish.ranges).add(column[1])


def _constant(found: dict[str, Wish], words: list[Token]) -> tuple[str, Constant] | None:
    """Return what a condition says of a column without a parameter."""
    ending = [word.text.lower() for word in words]
    for length, sense in ((3, "not null"), (2, "null")):
        if ending[-length:] == ["is", *sense.split()]:
            return _said(found, words[:-length], sense)
    if words and words[0].says("not"):
        return _said(found, words[1:], "false")
    if said := _said(found, words, "true"):
        return said
    place = _operator(words)
    if place is not None and words[place].text == "=":
        literal = _literal(words[place + 1 :])
        if literal:
            return _said(found, words[:place], "equal", literal)
    return None


def _said(
    found: dict[str, Wish], words: list[Token], sense: str, literal: str = ""
) -> tuple[str, Constant] | None:
    column = column_of(words)
    if column is None or column[0] not in found:
        return None
    return column[0], Constant(column[1], sense, literal)


def _literal(words: list[Token]) -> str:
    words = _bare(words)
    if (
        words
        and words[0].kind in ("string", "number")
        and (len(words) == 1 or words[1].kind == "cast")
    ):
        return words[0].text
    return ""


def _operator(words: list[Token]) -> int | None:
    """Return where the only operator outside brackets stands, when it compares; else None."""
    depth, places = 0, []
    for place, word in enumerate(words):
        depth += BRACKETS.get(word.text, 0) if word.kind == "mark" else 0
        if depth == 0 and word.kind == "operator":
            places.append(place)
    if len(places) == 1 and (words[places[0]].text == "=" or words[places[0]].text in RANGES):
        return places[0]
    return None


def _read_order(found: dict[str, Wish], keys: Sequence[str]) -> None:
    """Note the order when all of it is of one table and of bare columns."""
    read = [_key(tokens(key)) for key in keys]
    known = [each for each in read if each is not None]
    owners = {alias for alias, _ in known}
    if known and len(known) == len(read) and len(owners) == 1:
        (owner,) = owners
        if owner in found:
            found[owner].order = tuple(key for _, key in known)


def _key(words: list[Token]) -> tuple[str, Key] | None:
    nulls = ""
    if len(words) > 2 and words[-2].says("nulls"):
        nulls, words = words[-1].text.upper(), words[:-2]
    is_descending = bool(words) and words[-1].says("desc")
    if is_descending:
        words = words[:-1]
    column = column_of(words)
    return None if column is None else (column[0], Key(column[1], is_descending, nulls))


def _read_columns(found: dict[str, Wish], node: Node, *, is_root: bool) -> None:
    """Note which columns of a table must be had. A scan in the midst may put out more than is asked for."""
    if node["Node Type"] == "ModifyTable":
        for wish in found.values():
            wish.read = None  # rows are written, not only read
    texts = [str(node[name]) for name in CONDITIONS if name in node]
    for name in ("Sort Key", "Group Key", "Output"):
        if name != "Output" or is_root or not _scans(node):
            texts += [str(each) for each in node.get(name, ())]
    for alias, column in (pair for text in texts for pair in _pairs(tokens(text))):
        read = found[alias].read if alias in found else None
        if read is not None:
            read.add(column)


def _pairs(words: Sequence[Token]) -> Iterator[tuple[str, str]]:
    """Yield (alias, column) wherever the words speak of one."""
    for place in range(len(words) - 2):
        pair = _pair(words[place : place + 3])
        if pair:
            yield pair


def split(words: list[Token], by: str) -> list[list[Token]]:
    """Return the parts of a condition between AND or OR that stand outside brackets."""
    words = _bare(words)
    parts: list[list[Token]] = [[]]
    depth = 0
    for word in words:
        depth += BRACKETS.get(word.text, 0) if word.kind == "mark" else 0
        if depth == 0 and word.says(by):
            parts.append([])
        else:
            parts[-1].append(word)
    if len(parts) == 1:
        return [words]
    return [deep for part in parts for deep in split(part, by)]


def _bare(words: list[Token]) -> list[Token]:
    """Take off brackets that hold all the rest."""
    while len(words) > 2 and words[0].text == "(" and _closing(words) == len(words) - 1:
        words = words[1:-1]
    return words


def _closing(words: list[Token]) -> int:
    depth = 0
    for place, word in enumerate(words):
        depth += BRACKETS.get(word.text, 0) if word.kind == "mark" else 0
        if depth == 0:
            return place
    return -1


def column_of(words: list[Token]) -> tuple[str, str] | None:
    """Return (alias, column) when the words are a bare column, but for a cast that changes nothing."""
    words = _bare(words)
    casts = [place for place, word in enumerate(words) if word.kind == "cast"]
    if casts and " ".join(word.text for word in words[casts[-1] + 1 :]) in HARMLESS:
        return column_of(words[: casts[-1]])
    return _pair(words) if len(words) == 3 else None


def _pair(words: Sequence[Token]) -> tuple[str, str] | None:
    names = ("word", "quoted")
    if (
        len(words) == 3
        and words[1].text == "."
        and words[0].kind in names
        and words[2].kind in names
    ):
        return unquoted(words[0]), unquoted(words[2])
    return None


def aliases(words: Sequence[Token]) -> set[str]:
    """Return what stands before a dot anywhere in the words."""
    return {alias for alias, _ in _pairs(words)}
