"""How every figure looks, and how it is written.

Conventions
-----------
Sizes are in inches. An encoder has one colour in all figures, by its place among the encoders that params.yaml
configures, selected or not, so that it keeps it when the selection changes. The first colours are Okabe and Ito's,
which differ under all common colour blindness; from the eighth encoder on they are Paul Tol's except the last, and
markers help. Equal numbers give equal bytes: no date, no version, no user's matplotlibrc.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earshift.report.formats import value as shown_value
from earshift.storage.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Colour = tuple[float, ...]  # red, green, blue and perhaps opacity, from 0 to 1

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933",
           "#AA4499", "#332288", "#44AA99", "#661100", "#EE3377", "#A6761D")  # fmt: skip
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
_ON_DARK = {"#000000": "#E6E6E6", "#882255": "#C4709A", "#332288": "#8F83DD", "#661100": "#C4694F"}
INK, MUTED, FAINT = "#222222", "#767676", "#D9D9D9"
DASHED, DOTTED = (0, (4, 2)), (0, (1, 1.2))
_DPI = 150  # of a PNG

_STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.titlesize": 10,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "earshift",  # element ids would be random
}


def encoder_look(encoder: str, configured: Sequence[str]) -> tuple[str, str]:
    """Colour and marker of an encoder among all that are configured."""
    place = list(configured).index(encoder)
    return PALETTE[place % len(PALETTE)], MARKERS[(place + place // len(PALETTE)) % len(MARKERS)]


def shade(colour: str, amount: float) -> Colour:
    """`colour` mixed with white (amount from 0 to 1) or with black (0 to -1)."""
    from matplotlib.colors import to_rgb

    target = 1.0 if amount > 0 else 0.0
    return tuple(channel + abs(amount) * (target - channel) for channel in to_rgb(colour))


def word(colour: str) -> Colour:
    """The tone in which words are written that stand for a thing of this colour: dark enough to read on white."""
    return shade(colour, -0.35)


def on_dark(colour: str) -> str:
    """What a colour of the palette is on dark paper: itself, unless it is too dark to be seen there."""
    return _ON_DARK.get(colour.upper(), colour)


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Within the block matplotlib draws in this project's style, whatever the user's own settings are."""
    import matplotlib.style

    with matplotlib.style.context(_STYLE, after_reset=True):
        yield


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure that no window system knows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def save(figure: "Figure", folder: Path, name: str) -> None:
    """Write FOLDER/NAME.png and .svg.

    The figure is laid out once, at the size of the PNG: laying out costs as much as drawing, and the two then agree.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        figure.dpi = _DPI
        engine.execute(figure)
        figure.set_layout_engine("none")  # where things lie stays
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        with replacing(folder / f"{name}.{kind}") as temporary:
            figure.savefig(temporary, format=kind, dpi=_DPI, metadata=metadata)


def value_axis(axes: "Axes", strengths: Sequence[float], texts: Sequence[str], label: str, *, most: int = 7) -> None:
    """Mark an axis of strengths with the values they stand for, at most about `most` of them.

    Parameters
    ----------
    axes : matplotlib axes
    strengths : sequence of float, 0 to 1, ascending
    texts : sequence of str, the canonical texts of the values
    label : str
    """
    every = -(-len(texts) // most)
    shown = list(range(0, len(texts), every))
    if shown[-1] != len(texts) - 1:  # the strongest value always has its mark, and room around it
        shown = [i for i in shown if len(texts) - 1 - i >= every / 2 or i == 0] + [len(texts) - 1]
    axes.set_xticks([strengths[i] for i in shown], [shown_value(texts[i]) for i in shown])
    axes.set_xlim(-0.08, 1.08)
    axes.set_xlabel(label)


def axis_label(name: str, unit: str) -> str:
    """Name and, where there is one, unit."""
    return f"{name} ({unit})" if unit else name


def handle(label: str, colour: str | Colour = MUTED, **look: Any) -> "Line2D":
    """An entry of a legend: a line, or with ``linewidth=0`` a mark."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, label=label, **look)
