"""Published findings beside the results here; the figure of deng2025 is computed for it from embeddings on disk.

:func:`compute` writes plots/published/roc_auc.csv (every point: published, ours, difference, and why there is none) and
metrics/published.json (means, and what differs from the study). Finished points are used again while their embeddings,
their clips and the code that computes them are unchanged; a killed run goes on from there.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshift.analysis import published
from earshift.analysis.data import Trajectories
from earshift.analysis.published import PANELS, Found, Panel, PanelResult, PublishedResult, Row
from earshift.errors import UserError
from earshift.pipeline import config, paths
from earshift.pipeline.artifacts import make_key
from earshift.pipeline.compute import mapper
from earshift.pipeline.pairs import vector_hashes
from earshift.pipeline.progress import Progress
from earshift.pipeline.trajectories import read_trajectories
from earshift.storage import provenance
from earshift.storage.files import read_json, write_table
from earshift.storage.results import read_result, write_result
from earshift.storage.tables import read_table

TABLE = paths.PUBLISHED_PLOTS / "roc_auc.csv"
_SAVED_EVERY = 10.0  # seconds between two savings of an unfinished panel


def compute() -> None:
    """Bring both files up to date with the embeddings on disk.

    Raises
    ------
    UserError
        If no panel can be computed, or if embeddings are damaged.
    """
    params, saved = config.load(), _Saved()
    for panel in PANELS:
        trajectories = None if (reason := _absence(panel)) else read_trajectories(panel.encoder, panel.perturbation)
        if trajectories is None or (reason := _lack(trajectories, panel)):
            saved.drop(panel, reason)
        else:
            _compute_panel(panel, trajectories, saved, params)
    if not saved.panels:
        raise UserError(
            f"no panel of the published figure can be computed: {'; '.join(saved.skipped.values())}. "
            "`make paper` computes all of them"
        )
    for name, reason in saved.skipped.items():
        print(f"published: {name} is left out: {reason}")
    saved.write()


def show(study: str) -> None:
    """Print the findings of a study beside ours; for deng2025 its figure is computed and drawn before.

    Parameters
    ----------
    study : "deng2025", "kim2019" or "verma2023"

    Raises
    ------
    UserError
        If results that are needed are missing.
    """
    if study == "deng2025":
        compute()
        show_figure()
        return
    from earshift.pipeline import report_inputs
    from earshift.report import kim2019, verma2023

    print((kim2019 if study == "kim2019" else verma2023).text(report_inputs.results()))


def show_figure() -> None:
    """Print the table of what :func:`compute` found, and draw plots/published/PANEL.png."""
    from earshift.report.figures import published as figure

    content = read_result(paths.PUBLISHED, PublishedResult)
    figure.draw(content, read_table(TABLE).astype({"param": float}), paths.PUBLISHED_PLOTS)
    print(figure.table(content))
    print(f"\nPictures: {paths.PUBLISHED_PLOTS}/   Points: {TABLE}")


def _compute_panel(panel: Panel, trajectories: Trajectories, saved: "_Saved", params: config.Config) -> None:
    rows = _split_rows(trajectories)
    reference_sha256 = provenance.file_sha256(published.REFERENCE)
    hashes = {**vector_hashes(panel.encoder, panel.perturbation), "reference": reference_sha256}
    indices = None if rows is None else rows.tolist()
    fingerprint = make_key("published", contents=hashes, options=indices, code=[__name__]).sha256
    reference = published.reference()
    curves = published.Curves(trajectories, panel.instrument, saved.found(panel, fingerprint), rows)

    def points() -> list[Row]:
        return published.side_by_side(reference, panel, trajectories.values, curves.found)

    total, missing = len(curves.trainings), len(curves.missing())
    with Progress(f"published {panel.name}", total, total - missing, unit="classifiers") as progress:

        def advance(count: int) -> None:
            progress.advance(count)
            saved.keep(panel, points, fingerprint)

        curves.compute(map=mapper(params.compute, threads=True), advance=advance)
    found: PanelResult = {
        "encoder": panel.encoder,
        "perturbation": panel.perturbation,
        "instrument": panel.instrument,
        "unit": trajectories.unit,
        "train_clips": len(trajectories.indices("train")),
        "test_clips": len(trajectories.indices("test")),
        "deviations": deviations(trajectories, panel, params, ordered=rows is not None),
        "removed": {name: len(removal.directions) for name, removal in curves.removals.items()},
        "notes": published.notes(points()),
        "methods": published.headline(points()),
        "fingerprint": fingerprint,
    }
    saved.finish(panel, points(), found)
    saved.write()


def deviations(trajectories: Trajectories, panel: Panel, params: config.Config, *, ordered: bool) -> list[str]:
    """What differs from the study, one sentence each, as far as the files tell."""
    policy = getattr(params.encoders.get(panel.encoder), "policy", "paper")
    corrected = [f"perturb.{name}" for name, on in params.switches.items() if not on]
    corrected += [f"encoders.{panel.encoder}.policy"] * (policy != "paper")
    return published.deviations(
        trajectories,
        panel,
        corpus=(read_json(paths.CORPUS_INPUTS) or {}).get("corpus", "unknown"),
        official_weights=bool((read_json(paths.weights(panel.encoder) / "weights.json") or {}).get("official")),
        ordered=ordered,
        corrected=corrected,
    )


class _Saved:
    """Content of the two files: that of the last run, replaced panel by panel.

    Panels in ``unfinished`` are those that a killed run worked on. The table is written before the JSON, which holds
    its hash: two files that do not belong together count as none.
    """

    def __init__(self) -> None:
        content = read_json(paths.PUBLISHED) or {}
        rows: list[Any] = []
        if TABLE.is_file() and content.get("curves") == provenance.file_sha256(TABLE):
            rows = read_table(TABLE).to_dict("records")
        else:
            content = {}
        self.panels, self.unfinished = content.get("panels", {}), content.get("unfinished", {})
        self.skipped: dict[str, str] = {}
        self._rows = {panel.name: [row for row in rows if row["panel"] == panel.name] for panel in PANELS}
        self._written = time.monotonic()

    def found(self, panel: Panel, fingerprint: str) -> Found:
        """The known points of a panel, if they were computed from the same."""
        record = self.panels.get(panel.name, {}).get("fingerprint") or self.unfinished.get(panel.name)
        if record != fingerprint:
            return {}
        rows = [row for row in self._rows[panel.name] if np.isfinite(row["ours"]) or published.has_reason(row)]
        return {published.key_of(row): (row["ours"], row["note"]) for row in rows}

    def drop(self, panel: Panel, reason: str) -> None:
        """Leave a panel out."""
        self._forget(panel)
        self.skipped[panel.name], self._rows[panel.name] = reason, []

    def keep(self, panel: Panel, rows: Callable[[], list[Row]], fingerprint: str) -> None:
        """Save an unfinished panel, unless that was done a moment ago."""
        if time.monotonic() - self._written < _SAVED_EVERY:
            return
        self._forget(panel)
        self.unfinished[panel.name], self._rows[panel.name] = fingerprint, rows()
        self.write()

    def finish(self, panel: Panel, rows: list[Row], record: PanelResult) -> None:
        """Enter a panel that is complete."""
        self._forget(panel)
        self.panels[panel.name], self._rows[panel.name] = record, rows

    def _forget(self, panel: Panel) -> None:
        self.panels.pop(panel.name, None)
        self.unfinished.pop(panel.name, None)

    def write(self) -> None:
        """Write both files."""
        import pandas as pd

        rows = [row for rows in self._rows.values() for row in rows]
        write_table(TABLE, pd.DataFrame(rows, columns=published.COLUMNS))
        content = {
            "panels": {p.name: self.panels[p.name] for p in PANELS if p.name in self.panels},
            "skipped": self.skipped,
            **({"unfinished": self.unfinished} if self.unfinished else {}),
            "curves": provenance.file_sha256(TABLE),
        }
        write_result(paths.PUBLISHED, PublishedResult, content)
        self._written = time.monotonic()


def _absence(panel: Panel) -> str:
    """Why a panel cannot be computed, or ""."""
    original = paths.originals(panel.encoder)
    if not original.is_file():
        return f"{original} is missing (`dvc repro embed@{panel.encoder}`)"
    folder = paths.embeddings(panel.encoder, panel.perturbation)
    if not any(folder.glob("*.h5")):
        return f"{folder} holds no embeddings (`dvc repro embed@{panel.encoder}`)"
    return ""


def _lack(trajectories: Trajectories, panel: Panel) -> str:
    """What the corpus lacks for a panel, or ""."""
    for split in ("train", "test"):
        if not len(trajectories.indices(split, panel.instrument)):
            return f"the corpus has no {split} clips of {panel.instrument}"
    return ""


def _split_rows(trajectories: Trajectories) -> NDArray[np.intp] | None:
    """The row of each clip in the table that gave the split; None without one, or where it does not name all clips."""
    import pandas as pd

    options = (read_json(paths.CORPUS_INPUTS) or {}).get("options") or {}
    path = Path(options.get("split_csv") or "").expanduser()
    if not path.is_file():
        return None
    names = pd.read_csv(path, dtype=str)["file_name"]
    rows = {re.sub(r"\.wav$", "", Path(name).name, flags=re.IGNORECASE): row for row, name in enumerate(names)}
    if not set(trajectories.clip) <= set(rows):
        return None
    return np.array([rows[clip] for clip in trajectories.clip])
