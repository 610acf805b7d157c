"""Pictures of plots/figures inside the page, right on light paper and on dark.

Conventions
-----------
A picture is a vector drawing whose neutral colours are variables that follow the reader's colour scheme; an encoder's
or a method's colour stays, words in it are lightened. What holds an image of points (the scatter, the maps) has colours
that need light paper: it stays as it is, on a light card. A data URI holds it all, so the page loads nothing.
"""

import base64
import re
from dataclasses import dataclass

from earshift.pipeline import paths
from earshift.report import results
from earshift.report.figures import style

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
    uri : str, data URI
    width, height : int, CSS pixels
    light : bool, whether it needs light paper
    """

    name: str
    uri: str
    width: int
    height: int
    light: bool


def names():
    """Names of all pictures that ``figures`` drew, sorted.

    Raises
    ------
    UserError
        If the folder is missing.
    """
    return sorted(path.stem for path in results.existing(paths.FIGURES).glob("*.svg"))


def picture(name, *, small=False):
    """One picture.

    Parameters
    ----------
    name : str, as in plots/figures/NAME.svg
    small : bool, whether to take the image in pixels where that has fewer bytes

    Returns
    -------
    Picture
    """
    text = results.existing(paths.FIGURES / f"{name}.svg").read_text(encoding="utf-8")
    points = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', text).groups()
    width, height = (round(float(size) * 4 / 3) for size in points)
    light = "<image" in text
    kind, content = "image/svg+xml", bare(text if light else themed(text)).encode()
    pixels = paths.FIGURES / f"{name}.png"
    if small and pixels.exists() and pixels.stat().st_size < len(content):
        kind, content, light = "image/png", pixels.read_bytes(), True
    return Picture(name, f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}", width, height, light)


def bare(drawing):
    """An SVG without what only machines read, and without line breaks that say nothing."""
    for pattern in _SEEN_ONLY_BY_MACHINES:
        drawing = re.sub(pattern, "", drawing, flags=re.DOTALL)
    return re.sub(r"\s*\n\s*", " ", drawing).replace("> <", "><").strip() + "\n"


def themed(drawing):
    """An SVG whose neutral colours are variables with a value for light and one for dark paper."""
    found = {colour.lower() for colour in re.findall(r"(?<=: )#[0-9a-fA-F]{6}\b", drawing)}
    light, dark = {}, {}
    for colour, (name, on_dark) in _variables().items():
        if colour in found:
            drawing = re.sub(rf"(?<=: ){colour}\b", f"var(--{name})", drawing, flags=re.IGNORECASE)
            light[name], dark[name] = colour, on_dark
    rules = f":root{{{_declared(light)}}}@media (prefers-color-scheme: dark){{:root{{{_declared(dark)}}}}}"
    return drawing.replace('<style type="text/css">', f'<style type="text/css">{rules}', 1)


def _variables():
    """What is not the same on dark paper: {colour: (name of the variable, colour on dark paper)}."""
    from matplotlib.colors import to_hex

    words = [*style.PALETTE, style.INK, style.MUTED]
    variables = {to_hex(style.word(c)): (f"word{i}", to_hex(style.shade(c, 0.45))) for i, c in enumerate(words)}
    for place, colour in enumerate(style.PALETTE):
        if style.on_dark(colour) != colour:
            variables[colour.lower()] = (f"thing{place}", style.on_dark(colour))
    return variables | {colour.lower(): (name, THEMES["dark"][name]) for colour, name in _NEUTRAL.items()}


def _declared(variables):
    return ";".join(f"--{name}:{colour}" for name, colour in sorted(variables.items()))
