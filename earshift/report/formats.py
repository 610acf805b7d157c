"""Numbers, values and lists as the report shows them.

Conventions
-----------
Everything returned is plain text, with a real minus sign; templates escape it. A missing number, None or NaN, is
:data:`MISSING`. R2 has two decimals, ROC AUC three; a number that rounds to 0 has no sign.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeGuard

MINUS, MISSING, TIMES = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
GLUE = "\N{NO-BREAK SPACE}"

Format = Callable[[float | None], str]


class Estimate(NamedTuple):
    """A number and the ends of its interval; None is what does not exist."""

    number: float | None
    low: float | None = None
    high: float | None = None


def estimate(numbers: Mapping[str, object], name: str) -> Estimate:
    """The number `name` of a result with its interval, from the keys ``NAME``, ``NAME_low`` and ``NAME_high``."""
    found = (numbers.get(f"{name}{end}") for end in ("", "_low", "_high"))
    return Estimate(*(each if isinstance(each, int | float) and known(each) else None for each in found))


def known(number: float | None) -> TypeGuard[float]:
    """Whether there is a number."""
    return number is not None and not (isinstance(number, float) and not math.isfinite(number))


def fixed(number: float | None, decimals: int, *, sign: bool = False) -> str:
    """A number with so many decimals; `sign` also shows the sign of positive ones."""
    if not known(number):
        return MISSING
    text = f"{number:{'+' if sign else ''}.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def r2(number: float | None) -> str:
    """R2, or a share, with two decimals."""
    return fixed(number, 2)


def auc(number: float | None, *, sign: bool = False) -> str:
    """ROC AUC, or a difference of two, with three decimals."""
    return fixed(number, 3, sign=sign)


def gain(number: float | None) -> str:
    """A difference of ROC AUC with its sign."""
    return fixed(number, 3, sign=True)


def rank(number: float | None) -> str:
    """An effective rank: one decimal below 100."""
    return fixed(number, 1 if not known(number) or number < 100 else 0)


def place(number: float | None) -> str:
    """A mean rank among encoders, three significant digits."""
    return f"{number:.3g}" if known(number) else MISSING


def degrees(number: float | None) -> str:
    """An angle in whole degrees."""
    return f"{fixed(number, 0)}°" if known(number) else MISSING


def short(number: float | None) -> str:
    """A number with two significant digits, and no exponent where it needs none."""
    if not known(number):
        return MISSING
    if number == 0:
        return "0"
    digits = 1 - math.floor(math.log10(abs(number)))
    return fixed(number, max(digits, 0)) if digits <= 6 else f"{number:.1e}".replace("-", MINUS)


def p_value(number: float | None) -> str:
    """A p value with three decimals, "p < 0.001" below that."""
    if not known(number):
        return f"p{GLUE}{MISSING}"
    return f"p{GLUE}<{GLUE}0.001" if number < 0.001 else f"p{GLUE}={GLUE}{number:.3f}"


def per_cent(share: float | None) -> str:
    """A share as whole per cent."""
    return f"{100 * share:.0f}{GLUE}%" if known(share) else MISSING


def interval(low: float | None, high: float | None, how: Format) -> str:
    """[low, high], each shown by `how`; "" where there is none."""
    return f"[{how(low)},{GLUE}{how(high)}]" if known(low) and known(high) else ""


def with_interval(number: float | None, low: float | None, high: float | None, how: Format) -> str:
    """A number and, where it has one, its interval."""
    return f"{how(number)} {interval(low, high, how)}".rstrip()


def value(text: str) -> str:
    """The canonical text of a perturbation's value, short enough to read."""
    number = float(text)
    shown = f"{number:.0f}" if abs(number) >= 1000 else f"{number:.4g}"
    return shown.replace("-", MINUS)


def is_quantity(unit: str) -> bool:
    """Whether a unit is the name of a quantity (room size), which stands before its number."""
    return " " in unit and unit.islower()


def with_unit(text: str, unit: str) -> str:
    """A perturbation's value with its unit."""
    if text == "original":
        return text
    if is_quantity(unit):
        return f"{unit} {value(text)}"
    return f"{value(text)}{GLUE}{unit}" if unit else value(text)


def listed(words: Iterable[str]) -> str:
    """Words as a list in a sentence: "a", "a and b", "a, b and c"."""
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """ "1 clip", "176 clips", "1,024 numbers"."""
    return f"{number:,}{GLUE}{noun if number == 1 else plural or noun + 's'}"
