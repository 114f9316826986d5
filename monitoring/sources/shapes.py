"""One name for a statement as Django sends it and as pg_stat_statements keeps it.

    fingerprint('SELECT "t"."a" FROM "t" WHERE "t"."id" IN (%s, %s) LIMIT 21')
    == fingerprint('SELECT "t"."a" FROM "t" WHERE "t"."id" IN ($1, $2) LIMIT $3')

Both texts are brought to one form: placeholders and literals become `?`, with the casts that psycopg puts
behind a value; lists of them become one; IN of a single value is =, as it is to PostgreSQL; case,
whitespace, comments and needless quotes go. No value of a person's is left in it. Names of savepoints and cursors, which are new each time, go too.
"""

import re
from hashlib import blake2b

LONGEST = 200_000  # characters that are read
MORE = "/*, ... */"  # PostgreSQL 18 keeps the first value of a list, and this for the others
OTHER = 0  # the fingerprint of what was too much to be told apart

_TOKEN = re.compile(
    r"""
    (?P<gap> \s+ | --[^\n]* | /\*.*?\*/ )
  | (?P<name> "(?:[^"]|"")*" )
  | (?P<value> [eE]'(?:[^'\\]|''|\\.)*' | (?:\b[bBxXnN]|\b[uU]&)?'(?:[^']|'')*'
      | \$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$
      | %\(\w+\)[sbt] | %[sbt]\b | \$\d+ | \?
      | (?<![\w.])\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)? | (?<![\w.])\.\d+(?:[eE][+-]?\d+)? )
  | (?P<word> [^\W\d][\w$]* )
  | (?P<sign> %% | :: | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_SIMPLE = re.compile(r'"([a-z_][a-z0-9_$]*)"')
_BEFORE_MINUS = frozenset(
    [
        "select",
        "then",
        "else",
        "limit",
        "offset",
        "and",
        "or",
        "when",
        "in",
        "between",
        "by",
        "return",
        "values",
        "where",
        "having",
    ]
)
_TYPE = r"[a-z_]\w*(?:\.\w+)?(?: precision| varying| with(?:out)? time zone)?(?:\(\?\))?(?:\[\])*"
_CAST = re.compile(rf"\?(?:::{_TYPE})+")
_LIST = re.compile(r"\((?:\?|default)(?:,(?:\?|default))+\)|\(default\)")
_IN_ONE = re.compile(r" (not )?in\(\?\)(?=(\w?))")
_ROWS = re.compile(r"(\([^()]*\))(?:,\1)+")
_NEW_NAMES = (
    (re.compile(r"^((?:release |rollback to )?savepoint) .*"), r"\1 ?"),
    (re.compile(r"^(close|fetch forward \?|fetch all|fetch) (?:from |in )?\S+$"), r"\1 ?"),
    (re.compile(r"^declare \S+ .*?\bcursor .*?\bfor (?=select|with|\(|values|table)"), ""),
)


SAVEPOINTS = ("SAVEPOINT ", "RELEASE SAVEPOINT ", "ROLLBACK TO SAVEPOINT ")
_MORE_VALUES = re.compile(r"(\(%s, %s)(?:, %s)+(?=\))")
_MORE_ROWS = re.compile(r"(\([^()]*\)), (?:\1, )*\1")


def shortened(text: str) -> str:
    """Return a text of the same form whose length does not depend on how many values were sent.

    As Django writes them: lists of values, rows of values, and savepoints, each of which has a new name.
    About 1 us; what has nothing of the kind is returned as it is.
    """
    for start in SAVEPOINTS:
        if text.startswith(start):
            return f"{start}s"
    short = _MORE_VALUES.sub(r"\1", text) if "(%s, %s, %s" in text else text
    return _MORE_ROWS.sub(r"\1, \1", short) if "), (" in short else short


def normalised(text: str) -> str:
    """Return the form that both texts share. About 10 us a line of SQL."""
    out: list[str] = []
    for token in _TOKEN.finditer(text[:LONGEST]):
        kind, found = token.lastgroup, token[0]
        if kind == "gap":
            if found == MORE:
                out += ",", "?"
            continue
        if kind == "value" or kind == "tag":
            if out and out[-1] == "-" and (len(out) == 1 or _is_open(out[-2])):
                out.pop()
            out.append("?")
        elif kind == "word":
            out.append(_word(found.lower(), out))
        elif kind == "name":
            simple = _SIMPLE.fullmatch(found)
            out.append(simple[1] if simple else found)
        else:
            out.append("%" if found == "%%" else found)
    return _joined(out)


def fingerprint(text: str) -> int:
    """Return a number of 64 bits with sign that stands for all texts of this form."""
    return of_normalised(normalised(text))


def of_normalised(form: str) -> int:
    digest = blake2b(form.encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True) or 1


def _word(word: str, out: list[str]) -> str:
    """Return a word, or `?` for a literal: not in IS TRUE, IS NOT NULL or NOT NULL, which are none."""
    if word not in ("true", "false", "null"):
        return word
    before = out[-1] if out else ""
    is_test = before == "is" or (before == "not" and (word == "null" or out[-2:-1] == ["is"]))
    return word if is_test else "?"


def _is_open(token: str) -> bool:
    """Whether a minus after this token is a sign, not a subtraction."""
    return token in _BEFORE_MINUS or not (token[-1].isalnum() or token[-1] in '_")?]')


def _equal(found: re.Match[str]) -> str:
    return f"{'<>' if found[1] else '='}?{' ' if found[2] else ''}"


def _joined(out: list[str]) -> str:
    """Put spaces between words alone, and make one of what is repeated."""
    parts: list[str] = []
    is_after_word = False
    for token in out:
        is_word = token[0].isalnum() or token[0] in '_"?'
        parts.append(f" {token}" if is_word and is_after_word else token)
        is_after_word = is_word
    form = "".join(parts).rstrip(";")
    form = _IN_ONE.sub(_equal, _CAST.sub("?", form))
    form = _ROWS.sub(r"\1", _LIST.sub("(?)", form))
    for pattern, put in _NEW_NAMES:
        form = pattern.sub(put, form)
    return form
