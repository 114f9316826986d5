"""Which words a mistyped one may be, without a database."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendors import spelling

WORDS = st.text(alphabet="abcनिी", max_size=8)


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        ("", "", 0),
        ("rice", "rice", 0),
        ("rise", "rice", 1),
        ("bascmati", "basmati", 1),
        ("suger", "sugar", 1),
        ("noodels", "noodles", 1),
        ("cihni", "chini", 1),
        ("चीनी", "चिनी", 1),
        ("चना", "चिनी", 2),
        ("ca", "abc", 3),  # a pair that was swapped is not touched again
    ],
)
def test_counts_edits(one: str, other: str, count: int):
    assert spelling.edits(one, other, 9) == count


@given(WORDS, WORDS)
def test_edits_are_a_symmetric_distance(one: str, other: str):
    count = spelling.edits(one, other, 9)
    assert count == spelling.edits(other, one, 9)
    assert (count == 0) == (one == other)
    assert abs(len(one) - len(other)) <= count <= max(len(one), len(other))


@given(WORDS, WORDS, st.integers(0, 4))
def test_gives_up_beyond_the_most(one: str, other: str, most: int):
    assert spelling.edits(one, other, most) == min(spelling.edits(one, other, 9), most + 1)


def test_longer_words_may_have_more_edits():
    assert [spelling.allowed("x" * n) for n in (0, 3, 4, 5, 6, 9, 10, 40)] == [
        *(0, 0, 1, 1, 2, 2, 3, 3)
    ]


def test_keeps_those_with_the_fewest_edits_in_their_order():
    assert spelling.nearest("rise", ["rose", "rice", "risers", "price"]) == ["rose", "rice"]
    assert spelling.nearest("sugaar", ["suga", "sugar", "sagar"]) == ["sugar"]
    assert spelling.nearest("oil", ["soil", "oils"]) == []
    assert spelling.nearest("cement", ["salt", "comment"]) == ["comment"]


def test_a_wrong_first_letter_costs_one_edit_more():
    assert spelling.nearest("gice", ["rice"]) == []
    assert spelling.nearest("goodles", ["noodles"]) == ["noodles"]
    assert spelling.nearest("gooldse", ["noodles"]) == []


@given(st.text(alphabet="चनमरिीाुे", min_size=1, max_size=6), st.text(alphabet="चनमरिीाुे", min_size=1))
def test_a_nepali_word_is_never_another_without_an_edit(one: str, other: str):
    one, other = (unicodedata.normalize("NFC", word) for word in (one, other))
    if one != other:
        assert spelling.edits(one, other, 9) >= 1
