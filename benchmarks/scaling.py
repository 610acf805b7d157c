"""Growth of stages with clips, values and encoders: ``python -m benchmarks.scaling``.

Real stages, each in its own process as ``dvc repro`` runs them, on packed clips of 3 s and all cores. Every stage first
runs at a minimal size; the time of this run is its start-up: Python, imports, workers, models. Slopes are those of the
time above start-up, on logarithmic axes. The sizes are large enough that work exceeds start-up even at the smallest.

- perturb: pitch with its audio kept, by clips (with severity measured on one clip instead of up to 32) and by values.
  Pitch takes long for the bytes that it writes, so the time is that of the stage, and not that in which the system
  finds memory for the output
- embed: musicnn by clips, yamnet by values, and by encoders: one run for each of several copies of mfcc
- cca: by clips and by values, on random vectors of 512 numbers; and the memory of svd and trajectories on them
- distances: by clips (of the originals and of two values; with their square, because every clip is compared with every
  other) and by values

The originals count as one of the values of embed and of distances.
"""

from collections.abc import Callable
from dataclasses import dataclass

import stages  # noqa: F401
from benchmarks import _workspace
from benchmarks._growth import Growth
from benchmarks._results import FOLDER, Table
from earshift.pipeline import paths

CLIPS = (384, 768, 1536, 3072)
PITCHED = (96, 192, 384, 768)  # clips of perturb
COMPARED = (64, 128, 256, 512)  # clips of distances, each with all
VECTORS = (6144, 12288, 24576, 49152)  # clips of cca, each of which takes little time
VALUES = (8, 16, 32, 64)
COPIES = (1, 2, 4, 8)
GRIDS = {
    "gain": [round(-40 + 0.3 * step, 1) for step in range(128)],
    "pitch": [round(0.1 * (step + 1), 1) for step in range(64)],
}
STAGES = ("perturb", "embed", "cca", "distances")  # in the order of their colours
PICTURE = "scaling.png"


def main(arguments=()):
    found, rows = {}, []
    with _workspace.workspace():
        for label, part in PARTS.items():
            growth, memory = part.grown()
            found[label] = growth
            rows.append(_row(label, growth, memory))
            _print(rows[-1])
        analyses = _memory()
    _draw(found)
    note = (
        "*Doubled*: seconds at a size divided by those at half the size, with start-up and without it. Straight line: "
        "seconds = a + b size. Distances grow with the square of clips because every clip is compared with every other "
        "(docs/scale.md). All other stages are linear, with constant memory."
    )
    return [Table(COLUMNS, rows, "Cost of clips, values and encoders", note, PICTURE), analyses]


COLUMNS = ("stage, by", "sizes", "seconds", "start-up, s", "doubled", "doubled, without start-up", "a, s", "b, ms",
           "slope", "MiB", "MiB of a worker")  # fmt: skip


def _row(label, growth, memory):
    start, unit = growth.line()
    return (
        label, _list(growth.sizes, "d"), _list(growth.seconds, ".1f"), growth.start, _list(growth.ratios(), ".2f"),
        _list(growth.ratios(growth.start), ".2f"), start, unit * 1e3, growth.slope(),
        _list([took.peak for took in memory], ".0f"),
        _list([took.worker_peak for took in memory], ".0f") if memory[0].worker_peak else "",
    )  # fmt: skip


def _list(numbers, form):
    return ", ".join(format(number, form) for number in numbers)


def _print(row):
    named = dict(zip(COLUMNS, row, strict=True))
    print(f"scaling: {row[0]}: slope {named['slope']:.2f}; {named['seconds']} s at {named['sizes']}; "
          f"MiB {named['MiB']}", flush=True)  # fmt: skip


# ----------------------------------------------------------------------------------------------------- the measurements


@dataclass(frozen=True)
class Part:
    """A stage, and the sizes at which it is measured.

    sizes : tuple of int
    measure : callable, from a size to what the stage took
    least : callable, what the stage took at a minimal size; None where no start-up is subtracted
    smallest : float, the size that corresponds to that run
    """

    sizes: tuple
    measure: Callable
    least: Callable | None = None
    smallest: float = 0.0

    def grown(self):
        """A :class:`Growth`, and what every size took. The minimal size runs twice; the quicker run counts."""
        start = min(self.least().seconds for _ in range(2)) if self.least else 0.0
        took = [self.measure(size) for size in self.sizes]
        return Growth(self.sizes, tuple(t.seconds for t in took), start, self.smallest), took


def _prepared(clips, perturbation, values, encoders=("mfcc",), **more):
    """A workspace as the earlier stages would leave it: corpus and params.yaml."""
    _workspace.forget(paths.PERTURBED, paths.EMBEDDINGS, paths.DISTANCES, paths.AUDIO / perturbation)
    _workspace.configure({
        "run.encoders": list(encoders), "run.perturbations": [perturbation],
        f"perturbations.{perturbation}.grid": GRIDS[perturbation][:values],
        **{f"encoders.{name}": {"class": "earshift.encoders.mfcc:Mfcc", "heads": _workspace.NO_HEADS}
           for name in encoders if name.startswith("copy")},
        **more,
    })  # fmt: skip
    _workspace.write_corpus(clips)


def _perturb(clips, values, measured):
    _prepared(clips, "pitch", values, **{"perturb.keep_audio": True, "perturb.severity_clips": measured})
    return _workspace.perturbed("pitch")


def _embed(encoder, clips, values):
    _prepared(clips, "gain", values - 1, [encoder])
    if not paths.weights(encoder).is_dir():
        _workspace.weighed(encoder)
    _workspace.perturbed("gain")
    return _workspace.embedded(encoder)


def _encoders(count):
    """Embed with `count` encoders of equal cost, one stage after another."""
    copies = [f"copy{n}" for n in range(count)]
    _prepared(128, "gain", 3, copies)
    _workspace.perturbed("gain")
    for copy in copies:
        if not paths.weights(copy).is_dir():
            _workspace.weighed(copy)
    took = [_workspace.embedded(copy) for copy in copies]
    return _workspace.Took(
        sum(t.seconds for t in took), sum(t.busy for t in took), max(t.peak for t in took),
        max(t.worker_peak for t in took),
    )  # fmt: skip


def _drawn(clips, values):
    """Write random embeddings as those of mfcc under gain."""
    import numpy as np

    from earshift.storage.clips import read_clips
    from earshift.storage.files import write_table
    from earshift.storage.vectors import Embeddings, write_embeddings

    _prepared(8, "gain", 2)
    table = read_clips(paths.CLIPS)
    table = table.loc[np.arange(clips) % len(table)].reset_index(drop=True)
    table["clip"] = [f"{i:05d}" for i in range(clips)]
    table["group"] = table["clip"]
    table["label"] = [f"label{i % 8}" for i in range(clips)]
    table["split"] = np.where(np.arange(clips) // 8 % 4 == 3, "test", "train")
    write_table(paths.CLIPS, table)
    rng = np.random.default_rng(0)
    start, movement = rng.normal(size=(2, clips, 512))
    for place, value in enumerate([None, *range(values)]):
        path = paths.originals("mfcc") if value is None else paths.embeddings("mfcc", "gain") / f"{value}.h5"
        features = start + place / values * movement + 0.5 * rng.normal(size=start.shape)
        attributes = {"value": "original" if value is None else str(value), "growth": "up", "unit": "dB"}
        valid = np.ones(clips, dtype=bool)
        write_embeddings(path, Embeddings(features, list(table["clip"]), valid, attributes))


def _cca(clips, values):
    _drawn(clips, values)
    return _analysed("cca")


def _analysed(analysis):
    """What an analysis of one pair took."""
    _workspace.forget(paths.METRICS, paths.PLOTS)
    return _workspace.run(analysis, f"stages.{analysis}")


def _memory():
    """MiB of the analyses whose memory does not grow with clips."""
    rows = {analysis: [] for analysis in ("cca", "svd", "trajectories")}
    for clips in VECTORS:
        _drawn(clips, 6)
        for analysis, peaks in rows.items():
            peaks.append(_analysed(analysis).peak)
        print("scaling: memory:", ", ".join(f"{name} {peaks[-1]:.0f} MiB" for name, peaks in rows.items()), flush=True)
    note = (
        f"Largest memory of the process. At {VECTORS[-1]:,} clips their vectors are "
        f"{VECTORS[-1] * 7 * 512 * 4 / 2**20:,.0f} MiB, read block by block."
    )
    named = [f"{clips:,} clips, MiB" for clips in VECTORS]
    shown = [(analysis, *peaks) for analysis, peaks in rows.items()]
    return Table(("analysis", *named), shown, "Memory of analyses", note)


def _distances(clips, values):
    _prepared(clips, "gain", values - 1)
    _workspace.perturbed("gain")
    return _workspace.run("distances", "stages.distances")


PARTS = {
    "perturb, clips": Part(PITCHED, lambda n: _perturb(n, 2, 1), lambda: _perturb(8, 2, 1), 8),
    "embed musicnn, clips": Part(CLIPS, lambda n: _embed("musicnn", n, 4), lambda: _embed("musicnn", 16, 4), 16),
    "cca, clips": Part(VECTORS, lambda n: _cca(n, 6), lambda: _cca(32, 6), 32),
    "distances, clips": Part(COMPARED, lambda n: _distances(n, 3), lambda: _distances(8, 3), 8),
    "perturb, values": Part(VALUES, lambda n: _perturb(24, n, 24), lambda: _perturb(4, 2, 4), 1 / 3),
    "embed yamnet, values": Part(VALUES, lambda n: _embed("yamnet", 224, n), lambda: _embed("yamnet", 32, 3), 3 / 7),
    "cca, values": Part((16, 32, 64, 128), lambda n: _cca(1600, n), lambda: _cca(32, 4), 1 / 12.5),
    "distances, values": Part(VALUES, lambda n: _distances(96, n), lambda: _distances(8, 3), 1 / 48),
    "embed mfcc, encoders": Part(COPIES, lambda n: _encoders(n)),
}


# ---------------------------------------------------------------------------------------------------------- the picture


def _draw(found):
    """benchmarks/results/scaling.png: seconds over sizes, start-up included, beside straight lines through zero."""
    from earshift.report.figures import style
    from earshift.storage.files import replacing

    panels = ("clips", "values", "encoders")
    with style.styled():
        made = style.figure(7.2, 2.9)
        axes = made.subplots(1, len(panels), sharey=True)
        for by, panel in zip(panels, axes, strict=True):
            shown = {label.split(",")[0]: growth for label, growth in found.items() if label.endswith(f", {by}")}
            for label, growth in shown.items():
                place = STAGES.index(label.split()[0])
                dashed = label.endswith("mfcc") and by != "encoders"
                panel.plot(growth.sizes, growth.seconds, color=style.PALETTE[place], marker=style.MARKERS[place],
                           markersize=3.5, linewidth=1, linestyle="--" if dashed else "-",
                           label=f"{label}, slope {growth.slope():.2f}")  # fmt: skip
            sizes = sorted({size for growth in shown.values() for size in growth.sizes})
            panel.set_xscale("log", base=2)
            panel.set_yscale("log", base=2)
            ticks = sizes if len(sizes) < 6 else [sizes[0] * 8**i for i in range(20) if sizes[0] * 8**i <= sizes[-1]]
            panel.set_xticks(ticks, [f"{size:,}" for size in ticks])
            panel.minorticks_off()
            panel.set_xlabel(by)
            panel.grid(True)
            panel.legend(loc="upper left", fontsize=6)
        axes[0].set_ylabel("seconds of the stage")
        axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        low, high = axes[0].get_ylim()
        axes[0].set_ylim(low, high * 4)  # room for the legend
        with replacing(FOLDER / PICTURE) as temporary:
            made.savefig(temporary, format="png", dpi=150, metadata={"Software": None})


if __name__ == "__main__":
    main()
