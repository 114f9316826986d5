"""Charts: what is drawn where, what is said, and that nothing given becomes markup."""

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

from khaacho.adminsite.charts import Series, bar_chart, line_chart, number, sparkline

START = datetime(2026, 11, 24, 18, 15, tzinfo=UTC)  # a midnight in Kathmandu


def drawn(svg: str) -> ET.Element:
    return ET.fromstring(f"<figure>{svg}</figure>")


def of_class(tree: ET.Element, name: str) -> list[ET.Element]:
    return [each for each in tree.iter() if name in each.get("class", "").split()]


def days(*values: float | None) -> Series:
    return Series("Orders", [(START + timedelta(days=n), value) for n, value in enumerate(values)])


def chart(*series: Series, last: int, **more) -> ET.Element:
    until = START + timedelta(days=last)
    return drawn(line_chart(series, title="Trade", unit="", since=START, until=until, **more))


def test_a_line_goes_from_corner_to_corner():
    (line,) = of_class(chart(days(0, 10, 20), last=2), "line")
    assert line.get("points") == "0,160 500,80 1000,0"


def test_a_gap_parts_the_line_and_a_lone_value_is_a_dot():
    tree = chart(days(4, 4, None, 2, None), last=4)
    assert [line.get("points") for line in of_class(tree, "line")] == ["0,0 250,0", "750,80"]
    titles = [point.find("title").text for point in of_class(tree, "point")]
    assert titles == [
        "Orders: 4, 2026-11-25 00:00",
        "Orders: 4, 2026-11-26 00:00",
        "Orders: 2, 2026-11-28 00:00",
    ]


def test_the_name_says_what_is_seen():
    image = chart(days(4, 123_456, 7), last=2).find("svg")
    assert image.get("role") == "img"
    assert image.get("aria-label") == ("Trade. Orders: 7 at the end, 1,23,456 at most, 4 at least")
    assert "Orders: nothing" in chart(days(None), last=1).find("svg").get("aria-label")


def test_times_are_kathmandus_and_round():
    tree = chart(days(1, 2, 3), last=2)
    said = [t.text for t in tree.iter("text") if t.get("class")]
    assert said == ["11-25", "06:00", "12:00", "18:00", "11-26", "06:00", "12:00", "18:00", "11-27"]
    week = [t.text for t in chart(days(1), last=7).iter("text") if t.get("class")]
    assert week == [f"11-{day}" for day in range(25, 31)] + ["12-01", "12-02"]


def test_the_scale_is_round_and_reaches_below_nothing():
    up = [t.text for t in chart(days(0, 37), last=1).iter("text") if not t.get("class")]
    assert up == ["0", "10", "20", "30", "40"]
    down = [t.text for t in chart(days(-5, 5), last=1).iter("text") if not t.get("class")]
    assert down == ["-5", "0", "5"]


def test_what_lies_outside_is_left_out_and_marks_are_named():
    tree = chart(
        days(1, 2, 3, 4),
        last=2,
        marks=[(START + timedelta(days=1), "release 1.2"), (START + timedelta(days=9), "later")],
    )
    assert len(of_class(tree, "point")) == 3
    (mark,) = of_class(tree, "mark")
    assert mark.find("line").get("x1") == "50.0%"
    assert mark.find("title").text == "release 1.2, 2026-11-26 00:00"


def test_several_lines_have_a_legend_and_one_has_an_area():
    second = Series("Value", days(3, 4).points, "s2")
    tree = chart(days(1, 2), second, last=1)
    assert [each.text for each in of_class(tree, "legend")[0]] == ["Orders", "Value"]
    assert of_class(tree, "area") == []
    alone = chart(days(1, 2), last=1)
    assert len(of_class(alone, "area")) == 1
    assert of_class(alone, "legend") == []


def test_bars_are_as_long_as_their_share():
    tree = drawn(bar_chart([("Rice", 400_000), ("Dal", 100_000)], title="Best", unit="NPR"))
    assert [bar.get("width") for bar in of_class(tree, "bar")] == ["100.0%", "25.0%"]
    assert [v.text for v in of_class(tree, "value")] == ["NPR 4,00,000", "NPR 1,00,000"]
    assert drawn(bar_chart([], title="Best", unit="")).find("svg").get("aria-label") == (
        "Best. nothing"
    )
    (none,) = of_class(drawn(bar_chart([("Rice", 0)], title="Best", unit="")), "bar")
    assert none.get("width") == "0%"


def test_a_sparkline_has_gaps_and_a_name():
    tree = drawn(sparkline([0, 12, None, 6], title="Jobs"))
    assert [each.get("points") for each in of_class(tree, "line")] == ["0,26 40,2", "120,14"]
    assert tree.find("svg").get("aria-label") == "Jobs: 6"
    assert drawn(sparkline([], title="Jobs")).find("svg").get("aria-label") == "Jobs: nothing"


def test_numbers_are_for_people():
    said = [number(each) for each in (0, 3, 0.1234, 12.345, 99.96, 123.5, 1_234_567, -2.5)]
    assert said == ["0", "3", "0.123", "12.3", "100", "124", "12,34,567", "-2.5"]


def test_nothing_given_becomes_markup_and_no_style_is_set():
    bad = "<script>\"'&"
    made = [
        line_chart(
            [Series(bad, days(1, 2).points), Series(bad, days(1, 2).points, "s2")],
            title=bad,
            unit=bad,
            since=START,
            until=START + timedelta(days=1),
            marks=[(START, bad)],
        ),
        bar_chart([(bad, 1)], title=bad, unit=bad),
        sparkline([1], title=bad),
    ]
    for svg in made:
        assert "<script" not in svg
        assert not re.search(r"\bstyle=|\bon\w+=", svg)
        drawn(svg)
