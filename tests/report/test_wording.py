"""Numbers as words: decimals, signs, and what is missing."""

import pytest

from earshift.report.page import text as wording


@pytest.mark.parametrize(
    "made, expected",
    [
        (wording.r2(-0.125), "−0.12"),
        (wording.r2(-0.001), "0.00"),
        (wording.r2(None), "–"),
        (wording.r2(float("nan")), "–"),
        (wording.auc(0.0304, sign=True), "+0.030"),
        (wording.auc(-0.0001, sign=True), "0.000"),
        (wording.rank(47.72), "47.7"),
        (wording.rank(132.4), "132"),
        (wording.short(0.00010597), "0.00011"),
        (wording.short(-12.34), "−12"),
        (wording.short(0.0), "0"),
        (wording.short(-2e-9), "−2.0e−09"),
        (wording.p_value(0.0004), "p\xa0<\xa00.001"),
        (wording.p_value(0.0205), "p\xa0=\xa00.021"),
        (wording.p_value(None), "p\xa0–"),
        (wording.per_cent(0.762), "76\xa0%"),
        (wording.with_interval(0.5, 0.25, 0.75, wording.r2), "0.50 [0.25,\xa00.75]"),
        (wording.with_interval(0.5, None, 0.75, wording.r2), "0.50"),
        (wording.value("18333.333"), "18333"),
        (wording.value("-40"), "−40"),
        (wording.with_unit("-40", "dB"), "−40\xa0dB"),
        (wording.with_unit("0.4", "room size"), "room size 0.4"),
        (wording.with_unit("3", ""), "3"),
        (wording.with_unit("original", "dB"), "original"),
        (wording.listed([]), ""),
        (wording.listed(["a"]), "a"),
        (wording.listed(iter("abc")), "a, b and c"),
        (wording.counted(1, "clip"), "1\xa0clip"),
        (wording.counted(6705, "clip"), "6,705\xa0clips"),
    ],
)
def test_words(made, expected):
    assert made == expected
