"""SQL word by word: enough to know what kind of statement it is and to mend what normalisation broke.

Nothing here decides about safety alone: PostgreSQL itself is asked to prepare the text as one statement
before anything else is done with it (monitoring/advice/planning.py).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

PLANNED = frozenset({"select", "insert", "update", "delete", "merge", "with"})
LITERAL_TYPES = frozenset({"interval", "timestamp", "timestamptz", "date", "time", "timetz"})

TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<string>[eE]'(?:\\.|''|[^'\\])*'|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'
        |\$(?P<tag>[^\W\d]\w*)?\$.*?\$(?(tag)(?P=tag))\$)
    |(?P<parameter>\$\d+)
    |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<word>[^\W\d][\w$]*)
    |(?P<cast>::)
    |(?P<operator>[+\-*/<>=~!@\#%^&|`?]+)
    |(?P<mark>.)
    """,
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """One word of SQL. `kind` is a group of TOKEN; a word's text is as written."""

    kind: str
    text: str

    def says(self, *words: str) -> bool:
        """Whether this is one of the (lower-case) keywords."""
        return self.kind == "word" and self.text.lower() in words


def tokens(text: str, *, spaces: bool = False) -> list[Token]:
    """Return the words of a text; spaces and comments only if asked for."""
    found = [Token(str(m.lastgroup), m[0]) for m in TOKEN.finditer(text)]
    return found if spaces else [token for token in found if token.kind != "space"]


def first_word(text: str) -> str:
    """Return the lower-case word with which a statement begins, brackets aside; "" without any."""
    for token in tokens(text):
        if token.text != "(":
            return token.text.lower() if token.kind == "word" else ""
    return ""


def is_several(text: str) -> bool:
    """Whether anything stands behind a semicolon."""
    found = tokens(text)
    marks = [place for place, token in enumerate(found) if token == Token("mark", ";")]
    return bool(marks) and marks[0] != len(found) - 1


def plannable(text: str, rows_per_call: float | None = None) -> str:
    """Return a normalised text as SQL that PostgreSQL reads again.

    Constants became `$n` also where the grammar wants them written out: `interval $1`, `extract($1
    from x)`. A final `LIMIT $n` becomes the rows that a call returned on average, when known: a generic
    plan would otherwise suppose a tenth of all there are.
    """
    found = _mended([t for t in tokens(text, spaces=True) if t != Token("mark", ";")])
    if rows_per_call is not None:
        found = _limited(found, max(1, round(rows_per_call)))
    return "".join(token.text for token in found).strip()


def _mended(found: list[Token]) -> list[Token]:
    solid = [place for place, token in enumerate(found) if token.kind != "space"]
    for at, place in enumerate(solid):
        following = [found[after] for after in solid[at + 1 : at + 4]]
        kinds = [token.kind for token in following]
        if found[place].says(*LITERAL_TYPES) and kinds[:1] == ["parameter"]:
            kind = found[place].text
            found[place] = Token("space", "")
            found[solid[at + 1]] = Token("mark", f"{following[0].text}::{kind}")
        elif (
            found[place].says("extract")
            and kinds[:2] == ["mark", "parameter"]
            and len(following) > 2
            and following[2].says("from")
        ):
            found[place] = Token("word", 'pg_catalog."extract"')
            found[solid[at + 3]] = Token("mark", ",")
    return found


def _limited(found: list[Token], rows: int) -> list[Token]:
    """Write the statement's own LIMIT out, and close the gap in the numbers of its parameters."""
    place = _own_limit(found)
    if place is None:
        return found
    gone = found[place]
    if sum(token == gone for token in found) > 1 or any(
        gone.text in t.text for t in found if t.kind == "mark"
    ):
        return found
    found[place] = Token("number", str(rows))
    number = int(gone.text[1:])
    return [_renumbered(token, number) for token in found]


def _own_limit(found: Sequence[Token]) -> int | None:
    """Return where the parameter of the outermost LIMIT stands."""
    depth, after_limit, place = 0, False, None
    for at, token in enumerate(found):
        depth += (token.text == "(") - (token.text == ")")
        if after_limit and token.kind == "parameter":
            place = at
        if token.kind != "space":
            after_limit = depth == 0 and token.says("limit")
    return place


def _renumbered(token: Token, gone: int) -> Token:
    if token.kind not in ("parameter", "mark"):
        return token

    def lower(match: re.Match[str]) -> str:
        number = int(match[1])
        return f"${number - 1 if number > gone else number}"

    return Token(token.kind, re.sub(r"\$(\d+)", lower, token.text))


def unquoted(token: Token) -> str:
    """Return the identifier that a word or a quoted word stands for."""
    if token.kind == "quoted":
        return token.text[1:-1].replace('""', '"')
    return token.text


PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# Enough of the reserved words: a column that has one of these as its name is quoted.
_WORDS = (
    "all analyse analyze and any array as asc asymmetric both case cast check collate column"
    " constraint create current_date current_role current_time current_timestamp current_user default"
    " deferrable desc distinct do else end except false fetch for foreign from grant group having in"
    " initially intersect into lateral leading limit localtime localtimestamp not null offset on only or"
    " order placing primary references returning select session_user some symmetric table then to"
    " trailing true union unique user using variadic when where window with"
)
RESERVED = frozenset(_WORDS.split())


def quoted(name: str) -> str:
    """Return an identifier as SQL writes it, in quotes only where it needs them."""
    if PLAIN.fullmatch(name) and name not in RESERVED:
        return name
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
