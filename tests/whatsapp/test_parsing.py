"""Text → lines and questions, by table: what is read, what is asked, and nothing in between."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsapp.parsing import (
    OfferAnswer,
    beginnings,
    candidates,
    is_cancellation,
    is_cash_confirmation,
    is_confirmation,
    offer_answer,
    pieces,
    resolve,
)

KNOWN = {
    "RICE-1KG", "RICE-25KG", "ATTA-5", "ATTA", "OIL-1L", "7UP", "COKE-250ML", "COLA", "COLA-500ML",
    "NOODLES", "5", "6", "2X4-BOX", "चामल-1",
}  # fmt: skip

ORDERS = [
    # the five forms
    ("RICE-1KG x 10", [("RICE-1KG", 10)]),
    ("10 x RICE-1KG", [("RICE-1KG", 10)]),
    ("RICE-1KG-10", [("RICE-1KG", 10)]),
    ("RICE-1KG:10", [("RICE-1KG", 10)]),
    ("RICE-1KG 10", [("RICE-1KG", 10)]),
    # spacing, case and signs
    ("rice-1kg X 10", [("RICE-1KG", 10)]),
    ("Rice-1Kg   x10", [("RICE-1KG", 10)]),
    ("  rice-1kg 10  ", [("RICE-1KG", 10)]),
    ("10 rice-1kg", [("RICE-1KG", 10)]),
    ("10x RICE-1KG", [("RICE-1KG", 10)]),
    ("10 × RICE-1KG", [("RICE-1KG", 10)]),
    ("RICE-1KG×10", [("RICE-1KG", 10)]),
    ("RICE-1KG*10", [("RICE-1KG", 10)]),
    ("RICE-1KG * 10", [("RICE-1KG", 10)]),
    ("RICE-1KG = 10", [("RICE-1KG", 10)]),
    ("RICE-1KG : 10", [("RICE-1KG", 10)]),
    ("RICE-1KG - 10", [("RICE-1KG", 10)]),
    ("RICE-1KG – 10", [("RICE-1KG", 10)]),
    ("RICE-1KG x 10.", [("RICE-1KG", 10)]),
    ("RICE-1KG x 10!", [("RICE-1KG", 10)]),
    ("RICE-1KG x +10", [("RICE-1KG", 10)]),
    ("ＲＩＣＥ-1KG x １０", [("RICE-1KG", 10)]),
    ("RICE-1KG x 1,000", [("RICE-1KG", 1000)]),
    # Devanagari
    ("RICE-1KG x १०", [("RICE-1KG", 10)]),
    ("१० x RICE-1KG", [("RICE-1KG", 10)]),
    ("चामल-१ x २", [("चामल-1", 2)]),
    # SKUs that begin or end in digits: the longest wins
    ("ATTA-5 x 3", [("ATTA-5", 3)]),
    ("ATTA-5-3", [("ATTA-5", 3)]),
    ("ATTA-5 3", [("ATTA-5", 3)]),
    ("3 ATTA-5", [("ATTA-5", 3)]),
    ("ATTA-5:3", [("ATTA-5", 3)]),
    ("ATTA x 5", [("ATTA", 5)]),
    ("ATTA-6", [("ATTA", 6)]),
    ("7UP x 2", [("7UP", 2)]),
    ("2 7UP", [("7UP", 2)]),
    ("2X4-BOX x 3", [("2X4-BOX", 3)]),
    ("5 x 10", [("5", 10)]),
    # several
    ("RICE-1KG x 10\nATTA-5 x 2", [("RICE-1KG", 10), ("ATTA-5", 2)]),
    ("RICE-1KG x 10, ATTA-5 x 2", [("RICE-1KG", 10), ("ATTA-5", 2)]),
    ("RICE-1KG x 10,ATTA-5 x 2", [("RICE-1KG", 10), ("ATTA-5", 2)]),
    ("RICE-1KG x 10; ATTA-5 x 2", [("RICE-1KG", 10), ("ATTA-5", 2)]),
    ("RICE-1KG x 10। OIL-1L x 2", [("RICE-1KG", 10), ("OIL-1L", 2)]),
    ("RICE-1KG x 10\r\n\r\nOIL-1L x 2", [("RICE-1KG", 10), ("OIL-1L", 2)]),
    ("RICE-1KG x 10, rice-1kg x 5", [("RICE-1KG", 15)]),
    # lists
    ("1. RICE-1KG x 10\n2. ATTA-5 x 2", [("RICE-1KG", 10), ("ATTA-5", 2)]),
    ("1) RICE-1KG 10\n2) ATTA-5 2", [("RICE-1KG", 10), ("ATTA-5", 2)]),
    ("1. 10 x RICE-1KG\n2. 2 x ATTA-5", [("RICE-1KG", 10), ("ATTA-5", 2)]),
    ("1. RICE-1KG x 10 2. ATTA-5 x 2", [("RICE-1KG", 10), ("ATTA-5", 2)]),
    ("1.RICE-1KG x 10", [("RICE-1KG", 10)]),
    ("- RICE-1KG x 10\n- OIL-1L x 1", [("RICE-1KG", 10), ("OIL-1L", 1)]),
    ("• RICE-1KG x 10", [("RICE-1KG", 10)]),
    ("* RICE-1KG x 10", [("RICE-1KG", 10)]),
    ("१. RICE-1KG x १०", [("RICE-1KG", 10)]),
    # courtesy around it
    ("please RICE-1KG x 10", [("RICE-1KG", 10)]),
    ("RICE-1KG x 10 please", [("RICE-1KG", 10)]),
    ("hello, RICE-1KG x 10, thank you", [("RICE-1KG", 10)]),
    ("Namaste dai\nRICE-1KG x 10\ndhanyabad", [("RICE-1KG", 10)]),
    ("ok, RICE-1KG x 10", [("RICE-1KG", 10)]),
    ("no\nNOODLES x 3", [("NOODLES", 3)]),
]  # fmt: skip

QUESTIONS = [
    # never a guess
    ("5 coke", [("5 coke", "unknown", "")]),
    ("10 x RICE-2KG", [("10 x RICE-2KG", "unknown", "")]),
    ("RICE x 10", [("RICE x 10", "unknown", "")]),
    ("10 kg rice", [("10 kg rice", "unknown", "")]),
    ("RICE-1KGx10", [("RICE-1KGx10", "unknown", "")]),
    ("10xRICE-1KG", [("10xRICE-1KG", "unknown", "")]),
    ("RICE-1KG 10 5", [("RICE-1KG 10 5", "unknown", "")]),
    ("RICE-1KG 10 ATTA-5 2", [("RICE-1KG 10 ATTA-5 2", "unknown", "")]),
    ("RICE-1KG 10,5 ATTA-5", [("RICE-1KG 10,5 ATTA-5", "unknown", "")]),
    ("RICE-1KG x 10 pcs", [("RICE-1KG x 10 pcs", "unknown", "")]),
    ("RICE-1KG @ 10", [("RICE-1KG @ 10", "unknown", "")]),
    ("do not send RICE-1KG x 10", [("do not send RICE-1KG x 10", "unknown", "")]),
    ("cancel, RICE-1KG", [("cancel", "unknown", ""), ("RICE-1KG", "no_quantity", "RICE-1KG")]),
    ("10", [("10", "unknown", "")]),
    ("noodle x 3", [("noodle x 3", "unknown", "")]),
    ("COLA 500", [("COLA 500", "unknown", "")]),
    ("COLA-500", [("COLA-500", "unknown", "")]),
    ("COKE-250 x 3", [("COKE-250 x 3", "unknown", "")]),
    ("5 x 6", [("5 x 6", "unknown", "")]),
    ("A" * 90 + " x 3", [("A" * 90 + " x 3", "unknown", "")]),
    # quantities in doubt
    ("RICE-1KG", [("RICE-1KG", "no_quantity", "RICE-1KG")]),
    ("ATTA-5", [("ATTA-5", "no_quantity", "ATTA-5")]),
    ("1. RICE-1KG", [("1. RICE-1KG", "no_quantity", "RICE-1KG")]),
    ("RICE-1KG x 0", [("RICE-1KG x 0", "zero", "RICE-1KG")]),
    ("0 RICE-1KG", [("0 RICE-1KG", "zero", "RICE-1KG")]),
    ("RICE-1KG x ०", [("RICE-1KG x ०", "zero", "RICE-1KG")]),
    ("RICE-1KG x -5", [("RICE-1KG x -5", "negative", "RICE-1KG")]),
    ("RICE-1KG -5", [("RICE-1KG -5", "negative", "RICE-1KG")]),
    ("-5 RICE-1KG", [("-5 RICE-1KG", "negative", "RICE-1KG")]),
    ("RICE-1KG--5", [("RICE-1KG--5", "unknown", "")]),
    ("RICE-1KG x 2.5", [("RICE-1KG x 2.5", "fraction", "RICE-1KG")]),
    ("2.5 RICE-1KG", [("2.5 RICE-1KG", "fraction", "RICE-1KG")]),
    (".5 x RICE-1KG", [(".5 x RICE-1KG", "unknown", "")]),
    ("RICE-1KG x 2,5", [("RICE-1KG x 2,5", "fraction", "RICE-1KG")]),
    ("RICE-1KG x 1/2", [("RICE-1KG x 1/2", "fraction", "RICE-1KG")]),
    ("½ RICE-1KG", [("1⁄2 RICE-1KG", "fraction", "RICE-1KG")]),
    ("RICE-1KG x 1,00,000", [("RICE-1KG x 1,00,000", "fraction", "RICE-1KG")]),
    ("RICE-1KG x 100000", [("RICE-1KG x 100000", "absurd", "RICE-1KG")]),
    ("RICE-1KG x 99999999999999999999", [("RICE-1KG x 99999999999999999999", "absurd", "RICE-1KG")]),
]  # fmt: skip


def read(text: str) -> tuple[list[tuple[str, int]], list[tuple[str, str, str]]]:
    order = resolve(pieces(text), KNOWN)
    lines = [(line.sku, line.quantity) for line in order.lines]
    return lines, [(q.text, q.trouble.value, q.sku) for q in order.questions]


@pytest.mark.parametrize(("text", "lines"), ORDERS)
def test_reads(text, lines):
    assert read(text) == (lines, [])


@pytest.mark.parametrize(("text", "questions"), QUESTIONS)
def test_asks(text, questions):
    assert read(text) == ([], questions)


@pytest.mark.parametrize(
    "text",
    ["", "  ", "hi", "ok", "OK!", "Namaste dai", "thank you", "no", "yes, please", "...", "नमस्ते"],
)
def test_courtesy_is_neither_line_nor_question(text):
    assert read(text) == ([], [])


def test_a_known_sku_is_no_courtesy():
    assert resolve(pieces("good day"), {"GOOD DAY"}).questions != ()


def test_good_lines_stand_beside_questions():
    lines, asked = read("RICE-1KG x 10\n5 coke\nATTA-5 x 0")
    assert lines == [("RICE-1KG", 10)]
    assert [trouble for _, trouble, _ in asked] == ["unknown", "zero"]


def test_a_loose_number_names_the_skus_it_might_begin():
    assert beginnings(pieces("COLA 500")) == {"COLA-500"}
    assert "COLA-500" not in beginnings(pieces("COLA x 500"))


@pytest.mark.parametrize(
    "text",
    ["CONFIRM", "confirm", "Confirm!", "1", "१", "yes", "OK", "ok.", "ho", "हो", "yes please"],
)
def test_confirmations(text):
    assert is_confirmation(text)
    assert not is_cancellation(text)


@pytest.mark.parametrize(
    "text",
    ["", "no", "11", "yes no", "ok thanks", "confirm RICE-1KG", "hoina", "ok 1", "okra", "👍"],
)
def test_no_confirmations(text):
    assert not is_confirmation(text)


@pytest.mark.parametrize(
    "text", ["CANCEL", "cancel", "no", "No.", "hoina", "होइन", "please cancel"]
)
def test_cancellations(text):
    assert is_cancellation(text)


@pytest.mark.parametrize("text", ["noodles", "cancel ORD-2083-0000001", "no no", "now", ""])
def test_no_cancellations(text):
    assert not is_cancellation(text)


def test_cash_confirmations():
    assert all(map(is_cash_confirmation, ["CASH", "confirm cash", "नगद", "yes cash please"]))
    assert not any(map(is_cash_confirmation, ["cash cash", "no cash", "cash later", ""]))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("ACCEPT ORD-2083-0000123", OfferAnswer(True, "ORD-2083-0000123")),
        ("accept ord-2083-0000123", OfferAnswer(True, "ORD-2083-0000123")),
        ("Accept: ORD-२०८३-००००१२३", OfferAnswer(True, "ORD-2083-0000123")),
        ("DECLINE ORD-2083-0000123 no stock", OfferAnswer(False, "ORD-2083-0000123", "no stock")),
        ("reject ORD-2083-0000123: too far", OfferAnswer(False, "ORD-2083-0000123", "too far")),
        ("DECLINE ORD-2083-0000123", OfferAnswer(False, "ORD-2083-0000123")),
        ("decline:ORD-2083-0000123", OfferAnswer(False, "ORD-2083-0000123")),
        ("ACCEPT", None),
        ("ACCEPT 123", None),
        ("I ACCEPT ORD-2083-0000123", None),
        ("ACCEPT ORD-2083-0000123x", None),
        ("ACCEPT ORD-2083-0000123 ORD-2083-0000124", None),
        ("DECLINE ORD-2083-0000123 and ord-2083-0000124", None),
    ],
)  # fmt: skip
def test_offer_answers(text, answer):
    assert offer_answer(text) == answer


@given(st.text(max_size=300))
def test_any_text_is_read_without_error_and_nothing_unknown_is_ordered(text):
    found = pieces(text)
    assert candidates(found) is not None
    order = resolve(found, KNOWN)
    assert {line.sku for line in order.lines} <= KNOWN
    assert all(line.quantity > 0 for line in order.lines)


@given(
    st.lists(
        st.tuples(st.sampled_from(["RICE-1KG", "ATTA-5", "OIL-1L", "7UP"]), st.integers(1, 9999)),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(
        ["{s} x {q}", "{q} x {s}", "{s}:{q}", "{s} {q}", "{q} {s}", "{s} - {q}", "{s}-{q}"]
    ),
    st.sampled_from(["\n", ", ", "; "]),
)
def test_what_was_written_is_what_is_read(lines, form, between):
    text = between.join(form.format(s=sku.lower(), q=quantity) for sku, quantity in lines)
    wanted: dict[str, int] = {}
    for sku, quantity in lines:
        wanted[sku] = wanted.get(sku, 0) + quantity
    assert read(text) == (list(wanted.items()), [])


@pytest.mark.parametrize(
    "text", ["1 " * 2000, "A-" * 2000, "x " * 2000, "1," * 2000, "1.1/" * 1000]
)
def test_long_nonsense_is_read_quickly(text):
    began = time.perf_counter()
    resolve(pieces(text), KNOWN)
    assert time.perf_counter() - began < 1
