"""What a log never says: phones, tokens, passwords and what people wrote, whatever the code gave to log.

By name: the value of a field called `phone`, `password`, `body` and the like goes, at any depth. By form:
in every other text goes what looks like a phone, a token or a password beside its name. Ids, amounts,
dates, order numbers and fingerprints stay. A line costs some 20 us; what cannot be told apart (a sentence
of somebody's, given as a plain text without a name) is for the code not to log.
"""

import re
from collections.abc import Callable, Mapping, Sequence, Set
from itertools import pairwise
from typing import Any

GONE = "…"
DEEPEST = 6  # levels of nested values that are looked into
LONGEST = 40_000  # characters of one text; what follows is cut off
MOST = 200  # members of one nested value

# --- by name ---------------------------------------------------------------------------------------
_PRIVATE = (
    r"pass(?:word|wd|phrase|code)?|pwd|secrets?|tokens?|authori[sz]ation|cookies?|csrf\w*|api[_-]?key|"
    r"private[_-]?key|credentials?|otp|pin|sessionid|session[_-]?key|signature|phones?|phone_?number|"
    r"mobile|msisdn|wa[_-]?id|whatsapp_?number|from_number|to_number|e[_-]?mail|bearer"
)
_WRITTEN = r"body|text|caption|content|payload|message|messages|notes?|params|parameters|sql_params"
_SAFE_END = re.compile(
    r"(?:_id|_ids|_count|_bytes|_length|_seconds|_ms|_type|_status|_hash_algorithm)$", re.IGNORECASE
)
_BY_NAME = re.compile(
    rf"(?:.*[_\-. ])?(?:{_PRIVATE})(?:[_\-. ].*|\d*)?|(?:{_WRITTEN})", re.IGNORECASE
)
# Written by this project's own code, or checked where they come in: an id's digits are no phone.
KEPT = frozenset(
    {"time", "level", "logger", "request_id", "job_id", "user_id", "order_id", "pid", "task_id"}
    | {"fingerprint", "queryid", "statement", "backend_pid", "backup", "kept"}
)

# --- by form ---------------------------------------------------------------------------------------
_D = r"[0-9\u0966-\u096f]"  # a digit, also of Devanagari
_GAP = r"(?:[ \u00a0\t()\-\u2010-\u2015]|%20|%2D){0,3}"
_NAME = rf"(?:[\w.\-]*[_\-.])?(?:{_PRIVATE})(?:[_\-]\w+)?"
_QUOTED = r"\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?"
_BRACED = r"\[[^\]\n]*\]?|\{(?:[^{}\n]|\{[^{}\n]*\})*\}?"  # a list, an object of two levels
_ESCAPED_DIGIT = r"(?:\\u09(?:6[6-9a-f])|\\xe0\\xa5\\xa[6-9a-f]|%E0%A5%A[6-9A-F]|[0-9])"
_MOBILE = rf"(?:(?:\+|%2B|00|००)?{_GAP}(?:977|९७७){_GAP})?[9९]{_GAP}[678६७८](?:{_GAP}{_D}){{8}}"

# Found in every text that has a secret's name, in lower case; a search by pattern takes thirty times as long.
_NAMED = (
    *("pass", "pwd", "secret", "token", "authori", "cookie", "csrf", "key", "credential", "otp"),
    *("pin", "session", "signature", "phone", "mobile", "msisdn", "wa", "number", "mail", "bearer"),
)
# Each group of forms is tried only on texts in which its first pattern, or one of its words, is found.
_FORMS: tuple[tuple[str | tuple[str, ...], tuple[tuple[str, str], ...]], ...] = (
    # first, for what cuts a value at a gap leaves the other half of a number
    (  # telephone numbers: Nepal's mobiles and fixed lines, any with a plus, any bare run as long
        rf"{_D}(?:{_GAP}{_D}){{6}}",
        (
            (rf"(?<!{_D}){_MOBILE}(?!{_D})", GONE),
            (rf"(?:\+|%2B){_GAP}{_D}(?:{_GAP}{_D}){{6,14}}(?!{_D})", GONE),
            (rf"(?<!{_D})(?:977|९७७){_GAP}{_D}(?:{_GAP}{_D}){{6,8}}(?!{_D})", GONE),
            (rf"(?<![\w\-])\(?[0०]{_D}{{1,2}}\)?[ \-]{{1,2}}{_D}{{6,7}}(?![\w\-])", GONE),
            (rf"(?<![\w.\-]){_D}{{10,15}}(?![\w]|\.\d)", GONE),
        ),
    ),
    (  # of PostgreSQL: the row that broke a constraint, the statement's own values
        r"contains \(|LINE \d|nvalid input|out of range|\$\d+ = '",
        (
            (
                r"(?P<a>Failing row contains) \(.*?(?=\n(?:CONTEXT|HINT|STATEMENT):|\n\n|\Z)",
                r"\g<a> (…)",
            ),
            (r"(?P<a>LINE \d+:)(?:[^\n\\]|\\[^n])*(?:(?:\n|\\n)[ \t]*\^)?", r"\g<a> …"),
            (r"(?P<a>[Ii]nvalid input (?:syntax|value)[^\n:]*:) [^\n]*", r"\g<a> …"),
            (r"(?P<a>value )\"[^\"\n]*\"(?= is out of range)", r"\g<a>…"),
            (r"(?P<a>\$\d+ = )'(?:[^']|'')*'", r"\g<a>…"),
        ),
    ),
    (r"://[^/\s]*@", ((r"(?P<a>\w://)[^\s/\"']*@", r"\g<a>…@"),)),
    (r"[?&][\w.\-\[\]%]+=", ((r"(?P<a>(?<=[?&])[\w.\-\[\]%]+=)[^&\s\"'#]*", r"\g<a>…"),)),
    (
        r"(?i:bearer|basic)\s|\bey|wamid\.|\$|sha256=",
        (
            (r"(?P<a>\b(?i:bearer|basic)\s+)[\w.~+/=\-]+", r"\g<a>…"),
            (r"\bey[JA-Z][\w\-]{6,}(?:\.[\w\-]*){0,4}", GONE),
            (r"\bwamid\.[\w=+/\-]+", GONE),
            (r"\b(?:pbkdf2|argon2|bcrypt|scrypt|sha256|sha512)\w*\$[^\s,'\")]+", GONE),
            (r"\bsha256=[0-9a-f]{16,}", GONE),
        ),
    ),
    (  # a name and its value: of a constraint, of JSON or repr, of a form, of prose
        _NAMED,
        (
            (
                rf"(?P<a>Key \([^)\n]*(?i:{_PRIVATE})[^)\n]*\)=)\([^\n]*?\)(?= |\.|\n|\Z)",
                r"\g<a>(…)",
            ),
            (
                (
                    rf"(?P<a>(?<!\w)[\"']?(?i:{_NAME})[\"']?\s*(?:=>|[:=])\s*)"
                    rf"(?:{_QUOTED}|{_BRACED}|(?<=[Pp]assword=)\S+|[^\s,;&)}}\]]+)"
                ),
                r"\g<a>…",
            ),
            (
                (
                    rf"(?P<a>(?<!\w)(?i:{_PRIVATE})\s+(?:is |was |of )?)"
                    rf"(?:{_QUOTED}|(?=[^\s,;)]*[^\sA-Za-z,;)])(?![=:<>(])\S{{4,}})"
                ),
                r"\g<a>…",
            ),
        ),
    ),
    (
        rf"['\"](?i:{_WRITTEN})['\"]\s*:",
        (
            (
                rf"(?P<a>[\"'](?i:{_WRITTEN})[\"']\s*:\s*)(?:{_QUOTED}|{_BRACED}|[^\s,}}]+)",
                r"\g<a>…",
            ),
        ),
    ),
    (r"\\u09|\\xe0\\xa5|%E0%A5", ((rf"{_ESCAPED_DIGIT}(?:{_GAP}{_ESCAPED_DIGIT}){{6,}}", GONE),)),
)  # fmt: skip


def _sign(sign: str | tuple[str, ...]) -> Callable[[str], object]:
    if isinstance(sign, str):
        return re.compile(sign).search
    return lambda text: any(map(text.lower().__contains__, sign))


_COMPILED = tuple(
    (_sign(sign), tuple((re.compile(form, re.DOTALL).sub, put) for form, put in forms))
    for sign, forms in _FORMS
)
_RUN = re.compile(r"[A-Za-z0-9_\-+/]{20,}={0,2}")
_HEX = re.compile(r"[0-9a-f]{32,}|[0-9A-F]{32,}")
_TURNS = (
    0.35  # of neighbours in a random text of base64 about 0.6 are of different kinds, in names 0.2
)
_PLAIN = re.compile(r"[a-z_.>]{0,80}")  # the name of an event, a kind of job


def scrub(text: str) -> str:
    """Return a text that others wrote without what looks like a phone, a token or a password."""
    if _PLAIN.fullmatch(text):
        return text
    text = text[:LONGEST]
    for found, forms in _COMPILED:
        if found(text):
            for replace, put in forms:
                text = replace(put, text)
    return _RUN.sub(_unless_words, text)


def _unless_words(found: re.Match[str]) -> str:
    run = found[0]
    return GONE if looks_random(run) else run


def looks_random(run: str) -> bool:
    """Whether an unbroken run of 20 letters, digits and signs or more is a token rather than a name or a path."""
    if _HEX.search(run):
        return True
    parts = [run] if "/" not in run or "+" in run else [run, *run.split("/")]
    return any(_is_token(part) for part in parts if len(part) >= 20)


def _is_token(run: str) -> bool:
    if len(run) >= 32 and "/" not in run and any(c.isdigit() for c in run):
        return True  # also a UUID, a session's key
    kinds = [_kind(c) for c in run]
    if not {"a", "A"} <= set(kinds):
        return False
    turns = sum(one != other for one, other in pairwise(kinds))
    return turns / len(run) >= _TURNS


def _kind(sign: str) -> str:
    if sign.islower():
        return "a"
    if sign.isupper():
        return "A"
    return "0" if sign.isdigit() else "-"


def is_private_name(name: str) -> bool:
    """Whether a field of this name holds what is never logged."""
    return not _SAFE_END.search(name) and _BY_NAME.fullmatch(name) is not None


def redacted(value: object, name: str = "", depth: int = 0) -> Any:
    """Return a value as it may be logged, of types that JSON has; `name` is its field's."""
    if value is None or isinstance(value, bool):
        return value
    if name in KEPT and isinstance(value, str | int):
        return value
    if name and is_private_name(name):
        return GONE
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, int | float):
        return GONE if _is_phone(value) else value
    return _inside(value, name, depth)


def _inside(value: object, name: str, depth: int) -> Any:
    if depth >= DEEPEST:
        return GONE
    if isinstance(value, Mapping):
        members = list(value.items())[:MOST]
        return {scrub(str(key)): redacted(one, str(key), depth + 1) for key, one in members}
    if isinstance(value, Sequence | Set) and not isinstance(value, bytes | bytearray):
        return [redacted(one, name, depth + 1) for one in list(value)[:MOST]]
    return scrub(_text(value))


def _is_phone(number: float) -> bool:
    return 10**9 <= abs(number) < 10**15 and scrub(f"{abs(number):.0f}") == GONE


def _text(value: object) -> str:
    """Return an object's own words; one that cannot say any is its type."""
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - whatever __str__ raises, a line is written all the same
        return f"<{type(value).__name__}>"
