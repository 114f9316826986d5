"""Amounts are rounded once per line, half up, and written as people in Nepal write them."""

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khaacho.money import ZERO, LineAmounts, format_npr, line_amounts, round_money

amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=4)
prices = st.decimals(min_value=0, max_value=10**7, places=2)


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        ("0.005", "0.01"),
        ("0.004999", "0.00"),
        ("0.015", "0.02"),
        ("0.025", "0.03"),  # a banker would say 0.02
        ("-0.005", "-0.01"),
        ("2.675", "2.68"),  # a float would say 2.67
        ("1", "1.00"),
    ],
)
def test_rounds_half_away_from_zero_to_paisa(amount, rounded):
    assert str(round_money(Decimal(amount))) == rounded


@given(amounts)
def test_rounding_moves_by_at_most_half_a_paisa_and_is_symmetric(amount):
    rounded = round_money(amount)
    assert abs(Fraction(rounded) - Fraction(amount)) <= Fraction(1, 200)
    assert round_money(rounded) == rounded
    assert round_money(-amount) == -rounded
    assert rounded.as_tuple().exponent == -2


@pytest.mark.parametrize(
    ("quantity", "price", "rate", "net", "tax", "gross"),
    [
        (3, "33.33", 13, "99.99", "13.00", "112.99"),
        (1, "0.50", 13, "0.50", "0.07", "0.57"),
        (7, "1250.00", 13, "8750.00", "1137.50", "9887.50"),
        (10, "99.95", 0, "999.50", "0.00", "999.50"),
    ],
)
def test_line_amounts(quantity, price, rate, net, tax, gross):
    line = line_amounts(quantity, Decimal(price), rate)
    assert line == LineAmounts(net=Decimal(net), tax=Decimal(tax))
    assert line.gross == Decimal(gross)


@given(st.integers(1, 10_000), prices, st.sampled_from([0, 13, Decimal("7.5")]))
def test_line_is_the_sum_of_its_parts(quantity, price, rate):
    line = line_amounts(quantity, price, rate)
    assert line.gross == line.net + line.tax
    assert line.net == quantity * price
    exact = Fraction(line.net) * Fraction(rate) / 100
    assert abs(Fraction(line.tax) - exact) <= Fraction(1, 200)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "NPR 0.00"),
        ("999.99", "NPR 999.99"),
        ("1000", "NPR 1,000.00"),
        ("99999.999", "NPR 1,00,000.00"),
        ("412300", "NPR 4,12,300.00"),
        ("12345678.5", "NPR 1,23,45,678.50"),
        ("-412300", "-NPR 4,12,300.00"),
        ("-0.004", "NPR 0.00"),
    ],
)
def test_formats_in_lakh_and_crore(amount, text):
    assert format_npr(Decimal(amount)) == text


@given(amounts)
def test_format_loses_nothing_but_the_rounding(amount):
    text = format_npr(amount)
    assert re.fullmatch(r"-?NPR (\d{1,2},)*(\d{2},)*\d{1,3}\.\d\d", text)
    assert Decimal(re.sub(r"[NPR ,]", "", text)) == round_money(amount)
    assert not text.startswith("-NPR 0.00")


def test_zero_has_two_places():
    assert str(ZERO) == "0.00"
