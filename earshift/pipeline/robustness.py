"""The stage robustness: what a killed run had finished is used again, classifiers are trained in parallel."""

import json
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from earshift.analysis import robustness
from earshift.analysis.drops import Outcome, RobustnessResult
from earshift.pipeline import paths
from earshift.pipeline.artifacts import make_key
from earshift.pipeline.compute import mapper
from earshift.pipeline.pairs import Pair, vector_hashes
from earshift.pipeline.progress import Progress
from earshift.storage import provenance
from earshift.storage.files import replacing


class Finished(dict[str, dict[str, Outcome]]):
    """Outcomes by instrument and method; each instrument is also kept in a file, so that a killed run can go on.

    Parameters
    ----------
    folder : pathlib.Path
    fingerprint : str
        Of all that determines the outcomes; files with another one, and broken files, are ignored.
    instruments : sequence of str
    """

    def __init__(self, folder: Path, fingerprint: str, instruments: Sequence[str]) -> None:
        super().__init__()
        self._folder, self._fingerprint = folder, fingerprint
        for name in instruments:
            found = self._read(name)
            if found is not None:
                super().__setitem__(name, found)

    def __setitem__(self, instrument: str, outcomes: dict[str, Outcome]) -> None:
        super().__setitem__(instrument, outcomes)
        methods = [(method, outcome.notes, outcome.removed) for method, outcome in outcomes.items()]
        arrays: dict[str, Any] = {"about": np.array(json.dumps({"fingerprint": self._fingerprint, "methods": methods}))}
        for i, outcome in enumerate(outcomes.values()):
            arrays |= {f"{i}.scores": outcome.scores, f"{i}.draws": outcome.draws}
        with replacing(self._path(instrument)) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)

    def remove_files(self) -> None:
        """Remove everything from the disk."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, instrument: str) -> Path:
        return self._folder / f"{provenance.fingerprint(instrument=instrument)[:16]}.npz"

    def _read(self, instrument: str) -> dict[str, Outcome] | None:
        try:
            with np.load(self._path(instrument), allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                if about["fingerprint"] != self._fingerprint:
                    return None
                return {
                    method: Outcome(file[f"{i}.scores"], notes, file[f"{i}.draws"], removed)
                    for i, (method, notes, removed) in enumerate(about["methods"])
                }
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None  # missing or broken: it is computed again


def analyse(pair: Pair) -> None:
    """What a perturbation costs a classifier, and whether removing it helps: metrics and tables of one pair."""
    options, label = pair.params.robustness, f"{pair.encoder}-{pair.perturbation}"
    fingerprint = make_key(
        "robustness",
        contents=vector_hashes(pair.encoder, pair.perturbation),
        options=[replace(options, confidence=0), pair.params.classes],
        code=["earshift.analysis.robustness"],
    ).sha256
    experiment = robustness.Experiment(pair.trajectories(), options)
    finished = Finished(paths.SCRATCH / "robustness" / label, fingerprint, experiment.instruments)
    each, reused = experiment.classifiers_of_each, len(finished)
    total = each * len(experiment.instruments)
    with Progress(f"robustness {label}", total, each * reused, unit="classifiers") as progress:
        result, tables = robustness.analyse(
            experiment.trajectories, options, finished=finished,
            map=mapper(pair.params.compute, threads=True), advance=progress.advance,
        )  # fmt: skip
    pair.write_parquet("scores", tables["scores"])
    pair.write_parquet("draws", tables["draws"])
    pair.write(RobustnessResult, result, curves=tables["curves"])
    finished.remove_files()
