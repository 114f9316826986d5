"""Products by what a person types: English, Nepali, romanised, brand or SKU, mistyped or half typed.

First each typed word is understood, against the list of the words that the catalogue knows: as it
stands, as the beginning of a word, else as the words with the fewest typing errors or as two words run
together. Then one index finds the products that have them all, without a look at any text, and only
those are ranked, by where in the name the words stand. Figures and alternatives: docs/adr/0014.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from django.db.models import Expression, Func, IntegerField, Q, QuerySet, TextField, Value
from django.db.models.expressions import Case, When
from django.db.models.functions import Greatest, Length, Upper

from khaacho import sql
from vendors import spelling
from vendors.models import Product, ProductWords

MOST_WORDS = 8  # of a search; the rest is not looked at
MOST_LETTERS = 40  # of a word
MOST_FORMS = 30  # words that one typed word may stand for
MOST_ALIKE = 50  # words that one is compared with
MOST_RANKED = (
    3_000  # products; of more the shortest names come first, for they are the plainest goods
)
RANKED_FORMS = 3  # of a word's forms: those that the rank looks for in the name
WHOLE, BEGUN, ALIAS, SKU = 1000, 500, 500, 100_000  # what each is worth in the rank
LONGEST = 256  # letters, more than a name has: of equal rank, the shorter name comes first
DEVANAGARI = "\u0900"

KNOWN = """
    SELECT typed.word, ARRAY(
        SELECT begun.word FROM (
            SELECT DISTINCT length(word), word FROM catalogue_words
            WHERE word >= typed.word AND word < typed.word || U&'\\+10FFFF'
                AND (length(typed.word) > 1 OR word = typed.word)
            ORDER BY 1, 2 LIMIT %(forms)s
        ) AS begun
    )
    FROM (
        SELECT n, left(word, %(letters)s) AS word
        FROM unnest(words_of(%(text)s)) WITH ORDINALITY AS word (word, n)
    ) AS typed
    WHERE n <= %(words)s ORDER BY n
"""
ALIKE = """
    SELECT typed.word, alike.word
    FROM unnest(%(typed)s::text[], %(edits)s::integer[]) AS typed (word, edits)
        CROSS JOIN LATERAL words_alike(typed.word, typed.edits, %(most)s) AS alike (word)
    UNION ALL
    SELECT part.typed, part.word FROM unnest(%(whole)s::text[], %(parts)s::text[]) AS part (typed, word)
    WHERE EXISTS (SELECT FROM catalogue_words WHERE word = part.word)
"""


@dataclass(frozen=True)
class Word:
    """A typed word, and words of the catalogue: any of `forms` may be meant, or all of `parts`."""

    typed: str
    forms: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def is_understood(self) -> bool:
        return bool(self.forms or self.parts)

    @property
    def is_number(self) -> bool:
        return self.typed.isdecimal()

    def where(self) -> Q:
        """Return the condition on `words` that a product has this word."""
        condition = Q(words__overlap=list(self.forms)) if self.forms else Q()
        return condition | Q(words__contains=list(self.parts)) if self.parts else condition


@dataclass(frozen=True)
class Search:
    """A text as typed, and the words it is taken for. `is_broad`: too many products have them to rank."""

    typed: str
    words: tuple[Word, ...]
    is_broad: bool


def found(products: QuerySet[Product], text: str) -> QuerySet[Product]:
    """Those of the products that have every word of the text, the best match first by the whole number `rank`.

    Words that the catalogue does not know are passed over when it knows others; so are numbers, and
    words may be mistyped ones, when nothing has them all. Two statements to understand the text, up to
    four when it is mistyped.
    """
    search = understood(text)
    if not search.words:
        return products.annotate(rank=Value(0)).none()
    fitting = having(products, search.words)
    return fitting.annotate(rank=_rank(search)).order_by("-rank", "id")


def having(products: QuerySet[Product], words: Sequence[Word]) -> QuerySet[Product]:
    """Those of the products that have every one of the words, at least one."""
    wanted = reduce(lambda one, other: one & other, [word.where() for word in words])
    return products.alias(words=ProductWords()).filter(wanted)


def understood(text: str) -> Search:
    """Return the words that a text is taken for; none when the catalogue knows none of them."""
    known = _known(text)
    words = _understand(known, [word for word in known if not word.is_understood])
    count = _count(words)
    if words and not count:  # together they fit nothing: any may be mistyped
        words = _understand([word for word in words if not word.is_number], words)
        count = _count(words)
    return Search(text.strip(), words, is_broad=count > MOST_RANKED)


def _count(words: Sequence[Word]) -> int:
    """Count the products that have the words, up to one more than are ranked."""
    return having(Product.objects.active(), words)[: MOST_RANKED + 1].count() if words else 0


def _known(text: str) -> list[Word]:
    limits = {"letters": MOST_LETTERS, "words": MOST_WORDS, "forms": MOST_FORMS}
    rows = sql.fetch(KNOWN, {"text": text.replace("\0", " "), **limits})
    return [Word(word, (word,) if word.isdecimal() else tuple(forms)) for word, forms in rows]


def _understand(words: Sequence[Word], doubtful: Sequence[Word]) -> tuple[Word, ...]:
    """Return the words that can be understood, the doubtful ones also by what is spelt nearly so."""
    compared = sorted({word.typed for word in doubtful if spelling.allowed(word.typed)})
    alike = _alike(compared) if compared else {}
    read = [_read(word, alike.get(word.typed, ())) for word in words]
    return tuple(word for word in read if word.is_understood)


def _read(word: Word, alike: Sequence[str]) -> Word:
    if not alike:
        return word
    known = set(alike)
    cut = next((n for n in _cuts(word.typed) if {word.typed[:n], word.typed[n:]} <= known), 0)
    others = [form for form in alike if form != word.typed]
    forms = (*word.forms, *spelling.nearest(word.typed, dict.fromkeys(others)))
    parts = (word.typed[:cut], word.typed[cut:]) if cut else ()
    return Word(word.typed, tuple(dict.fromkeys(forms))[:MOST_FORMS], parts)


def _alike(typed: Sequence[str]) -> Mapping[str, list[str]]:
    """Return the catalogue's words that are spelt somewhat like each, and its own parts. One statement."""
    halves = [(word, part) for word in typed for n in _cuts(word) for part in (word[:n], word[n:])]
    values = {
        "typed": typed,
        "edits": [spelling.allowed(word) for word in typed],
        "most": MOST_ALIKE,
        "whole": [word for word, _ in halves],
        "parts": [part for _, part in halves],
    }
    alike: dict[str, list[str]] = {word: [] for word in typed}
    for word, known in sql.fetch(ALIKE, values):
        alike[word].append(known)
    return alike


def _cuts(word: str) -> range:
    """Return where a word may be two run together, of two letters or more each."""
    return range(2, len(word) - 1)


class Between(Func):
    """A column between two marks, in the collation that is compared fastest: letters beyond A-Z stay as they are."""

    template = "('%(mark)s' || %(expressions)s || '%(mark)s') COLLATE \"C\""
    output_field = TextField()

    def __init__(self, column: str, mark: str) -> None:
        super().__init__(column, mark=mark)


class Place(Func):
    """What a phrase in a text is worth: `there` and, at the very front, `front` more, less with each letter; else 0."""

    template = "coalesce(%(there)s + %(front)s / nullif(strpos(%(expressions)s), 0), 0)"
    output_field = IntegerField()

    def __init__(self, text: Expression, phrase: str, *, there: int = 0, front: int) -> None:
        super().__init__(text, Value(phrase), there=there, front=front)


def _rank(search: Search) -> Expression:
    if search.is_broad:
        return LONGEST - Length("name")
    parts = [_place_of(word) for word in search.words]
    phrase = " ".join(" ".join(word.forms[:1] or word.parts) for word in search.words)
    if len(search.words) > 1:
        parts.append(_whole(phrase))
    parts.append(Place(Between("aliases", "|"), f"|{phrase}|", front=ALIAS))
    if "-" in search.typed or any(word.is_number for word in search.words):
        is_sku = When(Q(sku__iexact=search.typed), then=Value(SKU))
        parts.append(Case(is_sku, default=Value(0), output_field=IntegerField()))
    return reduce(add, parts) * LONGEST - Length("name")


def _place_of(word: Word) -> Expression:
    """Return what the word in the name is worth: as a whole word, or less as the beginning of one."""
    if word.typed in word.forms:
        return _whole(word.typed) + Place(_name(word.typed), f" {word.typed.upper()}", front=BEGUN)
    places = [_whole(form) for form in (word.forms or word.parts)[:RANKED_FORMS]]
    return Greatest(*places) if len(places) > 1 else places[0]


def _whole(phrase: str) -> Expression:
    return Place(_name(phrase), f" {phrase.upper()} ", there=WHOLE, front=WHOLE)


def _name(phrase: str) -> Expression:
    return Between("name_ne", " ") if phrase >= DEVANAGARI else Upper(Between("name", " "))
