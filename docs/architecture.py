"""Draws docs/images/architecture.svg from the import graph: ``python docs/architecture.py``.

A box is a package of earshift (or stages), with its number of modules; an arrow is the number of imports from one
package into another, late imports included. Packages stand in the order of the layers in pyproject.toml, so every arrow
points downwards.
"""

import sys
import tomllib
from collections import Counter
from pathlib import Path

import grimp
import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
SMALL = {"earshift.plugins", "earshift.options", "earshift.errors", "earshift.protocols"}  # single modules, one box
ABOUT = {
    "stages": "one script per DVC stage",
    "pipeline": "params.yaml, reuse, pools and clusters, MLflow, remotes, command line",
    "report": "figures, tables, the page",
    "analysis": "CCA, SVD, trajectories, consistency, robustness, statistics",
    "encoders": "waveform to vector; weights; fast layers",
    "training": "kim2019's encoders, verma2023's streams",
    "perturbations": "graded changes of audio, severity",
    "corpora": "clips with labels and groups; splits",
    "storage": "packed audio, vectors and tables on disk",
    "audio": "reading, resampling, mel spectrograms, loudness",
    "options": "options, plugins, errors, protocols",
}


def package(module: str) -> str:
    """The box that a module belongs to."""
    if module.partition(".")[0] == "stages":
        return "stages"
    return "options" if module in SMALL else module.split(".")[1] if "." in module else ""


def edges() -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Modules by package, and imports by pair of packages."""
    sys.path.insert(0, str(ROOT))
    graph = grimp.build_graph("earshift", "stages")
    modules = Counter(package(name) for name in graph.modules if package(name) in ABOUT)
    imports: Counter[tuple[str, str]] = Counter()
    for name in graph.modules:
        for found in graph.find_modules_directly_imported_by(name):
            pair = package(name), package(found)
            if pair[0] != pair[1] and set(pair) <= set(ABOUT):
                imports[pair] += 1
    return modules, imports


def layers() -> list[str]:
    """Packages from top to bottom, as import-linter holds them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    order = [package(name) for line in settings["contracts"][0]["layers"] for name in line.split(" | ")]
    return list(dict.fromkeys(order))


def draw() -> None:
    """Write the picture."""
    plt.rcParams.update({"svg.hashsalt": "earshift", "font.family": "DejaVu Sans", "svg.fonttype": "none"})
    modules, imports = edges()
    order = layers()
    figure, axes = plt.subplots(figsize=(11, 8.5))
    place = {name: len(order) - row for row, name in enumerate(order)}
    for name, y in place.items():
        axes.text(0, y, f"{name}  ({modules[name]})", ha="left", va="center", fontsize=12, weight="bold",
                  bbox={"boxstyle": "round,pad=0.35", "facecolor": "#e8eef7", "edgecolor": "#4c6a92"})  # fmt: skip
        axes.text(2.5, y, ABOUT[name], ha="left", va="center", fontsize=9.5, color="#333333")
    for (upper, lower), count in sorted(imports.items()):
        distance = place[upper] - place[lower]
        axes.annotate("", xy=(-0.05, place[lower] + 0.12), xytext=(-0.05, place[upper] - 0.12),
                      arrowprops={"arrowstyle": "-|>", "color": "#4c6a92" if distance > 0 else "#c0392b", "alpha": 0.55,
                                  "linewidth": 0.5 + count**0.5 / 3,
                                  "connectionstyle": f"arc3,rad={0.25 + 0.04 * distance}"})  # fmt: skip
    axes.set(xlim=(-3.4, 7.5), ylim=(0.4, len(order) + 0.8))
    axes.axis("off")
    axes.set_title("Rooms of earshift and who imports whom: all arrows point downwards", fontsize=13, loc="left")
    figure.savefig(PICTURE, metadata={"Date": None, "Creator": None}, bbox_inches="tight")


if __name__ == "__main__":
    draw()
