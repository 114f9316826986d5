"""Which known words a mistyped word may be. Pure: no catalogue, no database.

An edit is one letter put in, left out, changed, or swapped with its neighbour (optimal string
alignment, Boytsov 2011, "Indexing methods for approximate dictionary searching", 2.1). Letters are
code points of NFC text, so that a vowel sign counts as much as a consonant.
"""

from collections.abc import Iterable

LENGTHS = (4, 6, 10)  # letters from which a word may have one edit, two, three


def allowed(typed: str) -> int:
    """Return how many edits a word of this length may have: a short one is typed right or not found."""
    return sum(len(typed) >= length for length in LENGTHS)


def nearest(typed: str, known: Iterable[str]) -> list[str]:
    """Return the known words with the fewest edits, in their order; [] when all have too many.

    A different first letter counts as one edit more: people seldom mistype it.
    """
    fewest, found = allowed(typed), list[str]()
    for word in known if fewest else ():
        count = edits(typed, word, fewest) + (typed[0] != word[0])
        if count < fewest:
            fewest, found = count, [word]
        elif count == fewest:
            found.append(word)
    return found


def edits(one: str, other: str, most: int) -> int:
    """Return the number of edits between two words, or `most` + 1 when there are more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        older, before = before, row
        row = [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)
