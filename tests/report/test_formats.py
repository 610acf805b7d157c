"""Numbers as text: decimals, signs, and what is missing."""

import pytest

from earshift.report import formats


@pytest.mark.parametrize(
    "made, expected",
    [
        (formats.r2(-0.125), "−0.12"),
        (formats.r2(-0.001), "0.00"),
        (formats.r2(None), "–"),
        (formats.r2(float("nan")), "–"),
        (formats.auc(0.0304, sign=True), "+0.030"),
        (formats.auc(-0.0001, sign=True), "0.000"),
        (formats.rank(47.72), "47.7"),
        (formats.rank(132.4), "132"),
        (formats.short(0.00010597), "0.00011"),
        (formats.short(-12.34), "−12"),
        (formats.short(0.0), "0"),
        (formats.short(-2e-9), "−2.0e−09"),
        (formats.p_value(0.0004), "p\xa0<\xa00.001"),
        (formats.p_value(0.0205), "p\xa0=\xa00.021"),
        (formats.p_value(None), "p\xa0–"),
        (formats.per_cent(0.762), "76\xa0%"),
        (formats.with_interval(0.5, 0.25, 0.75, formats.r2), "0.50 [0.25,\xa00.75]"),
        (formats.with_interval(0.5, None, 0.75, formats.r2), "0.50"),
        (formats.value("18333.333"), "18333"),
        (formats.value("-40"), "−40"),
        (formats.with_unit("-40", "dB"), "−40\xa0dB"),
        (formats.with_unit("0.4", "room size"), "room size 0.4"),
        (formats.with_unit("3", ""), "3"),
        (formats.with_unit("original", "dB"), "original"),
        (formats.listed([]), ""),
        (formats.listed(["a"]), "a"),
        (formats.listed(iter("abc")), "a, b and c"),
        (formats.counted(1, "clip"), "1\xa0clip"),
        (formats.counted(6705, "clip"), "6,705\xa0clips"),
    ],
)
def test_words(made, expected):
    assert made == expected
