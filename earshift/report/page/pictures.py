"""Pictures of plots/figures inside the page, right on light paper and on dark.

Conventions
-----------
A picture is a vector drawing whose neutral colours are variables that follow the reader's colour scheme; an encoder's
or a method's colour stays, words in it are lightened. What holds an image of points (the scatter, the maps) has colours
that need light paper: it stays as it is, on a light card. A data URI holds it all, so the page loads nothing.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from earshift.report.figures import style
from earshift.report.results import existing

ABOUT_ENCODER = ("roc_auc", "other_methods")  # followed by _ENCODER
ORDER = ("headline", "cca_scatter", "samplewise_r2", "svd_spectra", "paths", "pca_maps", "umap_maps", "consistency",
         "minimum_magnitudes", "tsne", "originals_correlation", "marginal_means", "performance", "ranking",
         "robustness_accuracy", "subsets", "roc_auc_instrument", "gains", "severity")  # fmt: skip

# The page's colours by scheme; the drawings' neutral ones are among them. Text on paper has 4.5:1 and more in both.
THEMES = {
    "light": {"ink": style.INK, "soft": "#595959", "muted": style.MUTED, "faint": style.FAINT, "paper": "#ffffff",
              "tint": "#f5f5f2", "link": "#0a58a8", "mark": "#b3261e"},
    "dark": {"ink": "#e6e6e6", "soft": "#b4b4b4", "muted": "#9a9a9a", "faint": "#3b3f45", "paper": "#16181c",
             "tint": "#1f2227", "link": "#8cbcf5", "mark": "#f2b8b5"},
}  # fmt: skip
_NEUTRAL = {style.INK: "ink", style.MUTED: "muted", style.FAINT: "faint", "#ffffff": "paper"}
_SEEN_ONLY_BY_MACHINES = (r"<\?xml.*?\?>", r"<!DOCTYPE.*?>", r"<metadata>.*?</metadata>", r"<!--.*?-->")


@dataclass(frozen=True)
class Picture:
    """A picture to put into the page.

    name : str
    encoder : str, the one that it is about, or ""
    uri : str, data URI
    width, height : int, CSS pixels
    light : bool, whether it needs light paper
    """

    name: str
    encoder: str
    uri: str
    width: int
    height: int
    light: bool

    @property
    def templates(self) -> list[str]:
        """The template of its caption, and the one of pictures without a caption of their own."""
        name = self.name.removesuffix(f"_{self.encoder}") if self.encoder else self.name
        return [f"figures/{name}.html.j2", "figures/other.html.j2"]


def read_pictures(folder: Path, encoders: Sequence[str], *, small: bool = False) -> list[Picture]:
    """All pictures of a folder in the order of :data:`ORDER`, those that it does not know last.

    Parameters
    ----------
    folder : Path, with NAME.svg and NAME.png
    encoders : sequence of str, of the run
    small : bool, whether to take the image in pixels where that has fewer bytes

    Raises
    ------
    UserError
        If the folder is missing.
    """
    known = {name: place for place, name in enumerate(ORDER)}
    names = [path.stem for path in existing(folder).glob("*.svg")]
    names.sort(key=lambda name: (known.get(name, len(known)), not name.startswith(ABOUT_ENCODER[0]), name))
    return [read_picture(folder, name, encoder_of(name, encoders), small=small) for name in names]


def encoder_of(name: str, encoders: Sequence[str]) -> str:
    """The encoder that a picture is about alone, or ""."""
    if name in ORDER:
        return ""
    return next((encoder for encoder in encoders for kind in ABOUT_ENCODER if name == f"{kind}_{encoder}"), "")


def read_picture(folder: Path, name: str, encoder: str = "", *, small: bool = False) -> Picture:
    """One picture, of FOLDER/NAME.svg."""
    text = (folder / f"{name}.svg").read_text(encoding="utf-8")
    points = re.findall(r'(?:width|height)="([\d.]+)pt"', text)[:2]
    width, height = (round(float(size) * 4 / 3) for size in points)
    light = "<image" in text
    kind, content = "image/svg+xml", bare(text if light else themed(text)).encode()
    pixels = folder / f"{name}.png"
    if small and pixels.exists() and pixels.stat().st_size < len(content):
        kind, content, light = "image/png", pixels.read_bytes(), True
    uri = f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
    return Picture(name, encoder, uri, width, height, light)


def bare(drawing: str) -> str:
    """An SVG without what only machines read, and without line breaks that say nothing."""
    for pattern in _SEEN_ONLY_BY_MACHINES:
        drawing = re.sub(pattern, "", drawing, flags=re.DOTALL)
    return re.sub(r"\s*\n\s*", " ", drawing).replace("> <", "><").strip() + "\n"


def themed(drawing: str) -> str:
    """An SVG whose neutral colours are variables with a value for light and one for dark paper."""
    found = {colour.lower() for colour in re.findall(r"(?<=: )#[0-9a-fA-F]{6}\b", drawing)}
    used = {colour: of for colour, of in _variables().items() if colour in found}
    for colour, (name, _) in used.items():
        drawing = re.sub(rf"(?<=: ){colour}\b", f"var(--{name})", drawing, flags=re.IGNORECASE)
    light, dark = ({name: (colour, on_dark)[scheme] for colour, (name, on_dark) in used.items()} for scheme in (0, 1))
    rules = f":root{{{_declared(light)}}}@media (prefers-color-scheme: dark){{:root{{{_declared(dark)}}}}}"
    return drawing.replace('<style type="text/css">', f'<style type="text/css">{rules}', 1)


def _variables() -> dict[str, tuple[str, str]]:
    """What is not the same on dark paper: {colour: (name of the variable, colour on dark paper)}."""
    from matplotlib.colors import to_hex

    words = [*style.PALETTE, style.INK, style.MUTED]
    variables = {to_hex(style.word(c)): (f"word{i}", to_hex(style.shade(c, 0.45))) for i, c in enumerate(words)}
    for place, colour in enumerate(style.PALETTE):
        if style.on_dark(colour) != colour:
            variables[colour.lower()] = (f"thing{place}", style.on_dark(colour))
    return variables | {colour.lower(): (name, THEMES["dark"][name]) for colour, name in _NEUTRAL.items()}


def _declared(variables: Mapping[str, str]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in sorted(variables.items()))
