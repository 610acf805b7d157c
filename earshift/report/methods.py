"""The methods of the robustness analysis as the report shows them: their order, colours and names.

Conventions
-----------
A method has one colour in all figures. Methods that share a colour never share a figure's panels.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from earshift.analysis.comparison import Ranked
from earshift.analysis.drops import MethodResult
from earshift.report.figures import style

if TYPE_CHECKING:
    from earshift.analysis.robustness import Robustness

# colour, label; in the order of the report
METHODS = {
    "none": (style.INK, "nothing removed"),
    "lda": (style.PALETTE[1], "LDA"),
    "average_displacement": (style.PALETTE[4], "average displacement"),
    "pca": (style.PALETTE[3], "PCA"),
    "pca_normalised": (style.PALETTE[4], "PCA, normalised"),
    "cca": (style.PALETTE[0], "global CCA"),
    "samplewise_cca_svd": (style.PALETTE[0], "sample-wise CCA SVD"),
    "leace": (style.PALETTE[2], "LEACE"),
    "conditional_displacement": (style.PALETTE[5], "conditional displacement"),
    "augmentation": (style.PALETTE[3], "augmentation (ceiling)"),
}
CEILING = "augmentation"  # not a removal: what a linear classifier could do that knows all values
SVD = "samplewise_cca_svd"
DIRECTIONS = {
    "forward": "trained on originals,\ntested on each value",
    "backward": "trained on each value,\ntested on originals",
}
_THRESHOLDS = {0.3: style.PALETTE[5], 0.4: style.PALETTE[0], 0.5: style.PALETTE[2]}  # the study's
_SHORT = {
    "average_displacement": "avg. displ.",
    "conditional_displacement": "cond. displ.",
    "pca": "PCA",
    "pca_normalised": "PCA norm.",
    "cca": "CCA",
    "lda": "LDA",
    "leace": "LEACE",
}


def selected(options: "Robustness") -> list[str]:
    """Names of the methods as robustness writes them, each threshold its own, in the order of the report."""
    wanted, thresholds = {"none", *options.methods}, options.svd_threshold  # none is always there
    names = [name for name in METHODS if name in wanted]
    if isinstance(thresholds, tuple) and SVD in names:
        place = names.index(SVD)
        names[place : place + 1] = [f"{SVD}_{threshold:g}" for threshold in thresholds]
    return names


def direction(method: MethodResult | None, name: str) -> Mapping[str, object]:
    """Numbers of a method trained forward or backward; empty where there are none."""
    if method is None:
        return {}
    return (method["forward"] if name == "forward" else method["backward"]) or {}


def look(method: str) -> tuple[str, str]:
    """Colour and label of a method."""
    if not method.startswith(f"{SVD}_"):
        return METHODS.get(method, (style.MUTED, method))
    threshold = float(method.removeprefix(f"{SVD}_"))
    colours = list(_THRESHOLDS.values())
    colour = _THRESHOLDS.get(threshold) or colours[int(1000 * threshold) % len(colours)]
    return colour, f"{METHODS[SVD][1]} {threshold:g}"


def short(method: str) -> str:
    """A method's name on an axis or in a narrow table."""
    return _SHORT.get(method, method.replace(f"{SVD}_", "SVD ").replace(SVD, "SVD"))


def sort_by_rank(numbers: Mapping[str, Ranked]) -> list[str]:
    """Encoders in order of their rank, those without one last."""
    return sorted(numbers, key=lambda encoder: (numbers[encoder]["rank"] is None, numbers[encoder]["rank"] or 0))
