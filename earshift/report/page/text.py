"""Numbers and names as the report page words them.

Conventions
-----------
Everything returned is plain text, with a real minus sign; templates escape it. What is missing, None or NaN, is
:data:`MISSING`. R2 has two decimals, ROC AUC three, what is rounded away loses its sign.
"""

import math

MINUS, MISSING, TIMES = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
GLUE = "\N{NO-BREAK SPACE}"


def fixed(number, decimals, *, sign=False):
    """A number with so many decimals; with its sign where it is asked for, also if it is positive."""
    if not known(number):
        return MISSING
    text = f"{number:{'+' if sign else ''}.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def r2(number):
    """R2 with two decimals."""
    return fixed(number, 2)


def auc(number, *, sign=False):
    """ROC AUC, or a difference of two, with three decimals."""
    return fixed(number, 3, sign=sign)


def rank(number):
    """An effective rank: one decimal below 100."""
    return fixed(number, 1 if not known(number) or number < 100 else 0)


def short(number):
    """A number with two significant digits, and no exponent where it needs none."""
    if not known(number):
        return MISSING
    if number == 0:
        return "0"
    digits = 1 - math.floor(math.log10(abs(number)))
    return fixed(number, max(digits, 0)) if digits <= 6 else f"{number:.1e}".replace("-", MINUS)


def p_value(number):
    """A p value, from 0.001 on with three decimals."""
    if not known(number):
        return f"p{GLUE}{MISSING}"
    return f"p{GLUE}<{GLUE}0.001" if number < 0.001 else f"p{GLUE}={GLUE}{number:.3f}"


def per_cent(share):
    """A share as whole per cent."""
    return MISSING if not known(share) else f"{100 * share:.0f}{GLUE}%"


def interval(low, high, how):
    """[low, high], each worded by the function `how`; "" where there is none."""
    return f"[{how(low)},{GLUE}{how(high)}]" if known(low) and known(high) else ""


def with_interval(number, low, high, how):
    """A number and, where it has one, its interval."""
    return f"{how(number)} {interval(low, high, how)}".rstrip()


def value(text):
    """The canonical text of a perturbation's value, short enough to read."""
    number = float(text)
    shown = f"{number:.0f}" if abs(number) >= 1000 else f"{number:.4g}"
    return shown.replace("-", MINUS)


def with_unit(text, unit):
    """A perturbation's value with its unit; what is no unit but a quantity (room size) goes first."""
    if text == "original":
        return text
    if " " in unit and unit.islower():
        return f"{unit} {value(text)}"
    return f"{value(text)}{GLUE}{unit}" if unit else value(text)


def listed(words):
    """Words as a list in a sentence: "a", "a and b", "a, b and c"."""
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def counted(number, noun, plural=None):
    """ "1 clip", "176 clips", "1,024 numbers"."""
    return f"{number:,}{GLUE}{noun if number == 1 else plural or noun + 's'}"


def known(number):
    """Whether there is a number."""
    return number is not None and not (isinstance(number, float) and not math.isfinite(number))
