"""Every text in both languages, with the same blanks, within what the provider shows."""

import string

import pytest

from whatsapp.parsing import Trouble
from whatsapp.texts import ENGLISH, NEPALI, TEXTS, say


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("name", TEXTS)
def test_both_languages_have_the_same_blanks(name):
    versions = TEXTS[name]
    assert set(versions) == {ENGLISH, NEPALI}
    assert blanks(versions[ENGLISH]) == blanks(versions[NEPALI])


@pytest.mark.parametrize("name", [name for name in TEXTS if name.startswith("button_")])
def test_a_buttons_title_fits(name):
    assert all(len(text) <= 20 for text in TEXTS[name].values())


def test_every_trouble_has_its_question():
    assert {f"question_{trouble}" for trouble in Trouble} <= set(TEXTS)


def test_an_unknown_language_reads_english():
    assert say("fr", "vat", amount="NPR 1.00") == "VAT: NPR 1.00"
    assert say("ne", "vat", amount="NPR 1.00") == "भ्याट: NPR 1.00"
