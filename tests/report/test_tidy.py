"""Every number of every pair in one table: what stands in metrics/ANALYSIS/ENCODER/PERTURBATION.json, a row each."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from results_on_disk import dump

from earshift.pipeline import paths, report_inputs
from earshift.report import tidy
from earshift.report.results import ANALYSES
from stages import summary as stage


def of_pair(table, analysis, encoder, perturbation):
    """Numbers of a pair by measure."""
    rows = table[(table.analysis == analysis) & (table.encoder == encoder) & (table.perturbation == perturbation)]
    assert rows.measure.is_unique
    return dict(zip(rows.measure, rows.number, strict=True))


def test_a_row_is_what_stands_at_its_keys(computed):
    table = tidy.table(computed)
    assert tuple(table) == tidy.COLUMNS and table.number.dtype == np.float64
    for analysis, encoder, perturbation, measure, number in table.itertuples(index=False):
        place = getattr(computed, analysis)[encoder, perturbation]
        while measure:  # names of methods and values have dots in them
            keys = map(str, range(len(place))) if isinstance(place, list) else place
            (key,) = (each for each in keys if measure == each or measure.startswith(f"{each}."))
            place, measure = place[int(key) if isinstance(place, list) else key], measure[len(key) + 1 :]
        assert (place is None and np.isnan(number)) or place == number


def test_every_number_and_every_null_has_a_row(computed):
    table = tidy.table(computed)
    assert set(zip(table.analysis, table.encoder, table.perturbation, strict=True)) == {
        (analysis, *pair) for analysis in ANALYSES for pair in computed.study.pairs
    }
    for analysis in ANALYSES:
        for pair in computed.study.pairs:
            text, numbers = paths.metrics(analysis, *pair).read_text(), []
            json.loads(text, parse_int=numbers.append, parse_float=numbers.append)
            missing = pd.Series(of_pair(table, analysis, *pair)).isna()
            assert (len(numbers), len(re.findall(r"\bnull,?$", text, re.M))) == ((~missing).sum(), missing.sum())
    assert table.number.isna().any()


def test_known_numbers(world, results):
    first = of_pair(tidy.table(results), "cca", "mfcc", "gain")
    assert (first["global.heldout"], first["samplewise.published"], first["clips.train"]) == (0.25, 1, 24)
    spectrum = {name: n for name, n in of_pair(tidy.table(results), "svd", "mfcc", "gain").items()
                if name.startswith("overall.spectrum.")}  # fmt: skip
    assert list(spectrum) == [f"overall.spectrum.{place}" for place in range(24)]
    assert list(spectrum.values()) == pytest.approx(np.exp(-np.arange(24) / 4), abs=1e-6)
    assert "values.0" not in first and "unit" not in first and "notes.0" not in first


def test_null_is_missing_and_keeps_its_row(world):
    path = world / "metrics/cca/mfcc/gain.json"
    content = json.loads(path.read_text())
    content["global"]["heldout"] = None
    dump(path, content)
    table = tidy.table(report_inputs.results())
    found = {encoder: of_pair(table, "cca", encoder, "gain") for encoder in ("mfcc", "musicnn")}
    assert np.isnan(found["mfcc"]["global.heldout"]) and found["mfcc"].keys() == found["musicnn"].keys()
    assert found["musicnn"]["global.heldout"] == 0.5


def test_the_file(world, results):
    dump(world / "metrics/cca/yamnet/gain.json", {"stale": True})  # not part of the run
    stage.main()
    table = pd.read_parquet(paths.RESULTS)
    assert set(table.encoder) == {"mfcc", "musicnn"}
    wanted = tidy.table(results)
    for name in tidy.COLUMNS[:-1]:
        assert list(table[name]) == list(wanted[name])
    np.testing.assert_allclose(table.number, wanted.number, rtol=1e-5)  # six digits, NaN where there is none
    first = paths.RESULTS.read_bytes()
    stage.main()
    assert paths.RESULTS.read_bytes() == first
