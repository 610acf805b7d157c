"""The distances stage: what it writes, reuses and survives."""

import shutil

import numpy as np
import pandas as pd
import pytest

from earshift.analysis import distances as analysis
from earshift.analysis import mfcc_sequences
from earshift.analysis.dtw import dtw
from earshift.analysis.mfcc_sequences import mfcc_sequence
from earshift.analysis.simple_profile import simple
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.artifacts import read_index
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.pipeline.distances import update_distances
from earshift.pipeline.perturb import perturb
from earshift.storage.distances import read_distances
from earshift.storage.files import write_table
from earshift.storage.packed_audio import AudioReader

GRID = [-40, -10, 5]


@pytest.fixture
def measured(tiny_corpus, edited):
    """Run perturb and distances; returns the distance files' bytes by name."""

    def run(**changes):
        settings = {"run.perturbations": ["gain"], "perturbations.gain.grid": GRID, "compute.workers": 1,
                    "distances.subsequence": 30}  # fmt: skip
        params = edited({**settings, **changes})
        for perturbation in params.run.perturbations:
            perturb(params, perturbation)
        update_distances(params)
        return {p.name: p.read_bytes() for p in sorted(paths.DISTANCES.rglob("*.h5"))}

    return run


def forget():
    """Remove all distances, from the store too."""
    for folder in (paths.DISTANCES, paths.STORE):
        shutil.rmtree(folder)


def clips_as_sequences(gain=0):
    with AudioReader(corpus_audio_path()) as reader:
        audio = [reader[i] for i in range(len(reader))]
    factor = np.float32(10 ** (gain / 20))
    return [mfcc_sequence(clip * factor, rate, 25) if clip.size else None for clip, rate in audio]


def test_numbers_equal_those_of_the_pairs(measured, tiny_corpus):
    measured()
    found = read_distances(paths.distances("gain", "-40"))
    queries, candidates = clips_as_sequences(gain=-40), clips_as_sequences()
    assert found.clip == list(tiny_corpus["clip"]) and list(found.valid) == list(tiny_corpus.valid)
    assert set(found.matrices) == {"dtw", "simple"}
    for i, query in enumerate(queries):
        for j, candidate in enumerate(candidates):
            pair = {measure: matrix[i, j] for measure, matrix in found.matrices.items()}
            if query is None or candidate is None:
                assert np.isnan(list(pair.values())).all()
                continue
            assert pair["dtw"] == pytest.approx(dtw(query, candidate), rel=1e-5, abs=1e-3)
            if min(len(query), len(candidate)) < 30:
                assert np.isnan(pair["simple"])
            else:
                assert pair["simple"] == pytest.approx(simple(query, candidate, 30), rel=1e-5, abs=1e-3)
    assert np.isfinite(found.matrices["simple"]).any()


def test_original(measured, capsys):
    measured()
    found = read_distances(paths.original_distances())
    assert (np.diag(found.matrices["dtw"])[found.valid] == 0).all()
    assert found.attributes["perturbation"] == found.attributes["value"] == "original"
    paths.original_distances().unlink()
    capsys.readouterr()
    measured()
    assert paths.original_distances().exists()
    assert "distances: computed 0 of 4 values, reused 4" in capsys.readouterr().out


def test_attributes_say_where_numbers_come_from(measured):
    measured()
    attributes = read_distances(paths.distances("gain", "5")).attributes
    expected = {"perturbation": "gain", "value": "5", "unit": "dB", "mfcc": 25, "subsequence": 30}
    assert expected.items() <= attributes.items()
    assert len(read_index(paths.DISTANCES)["gain/5"]["key"]) == 64


def test_one_value_more_costs_one_value(measured, capsys):
    before = measured()
    after = measured(**{"perturbations.gain.grid": [*GRID, -15]})
    assert "distances: computed 1 of 5 values (gain/-15;" in capsys.readouterr().out
    assert set(after) == {*before, "-15.h5"} and all(after[name] == before[name] for name in before)
    assert set(measured(**{"perturbations.gain.grid": [-40, 5]})) == {"original.h5", "-40.h5", "5.h5"}


def test_what_left_the_run_is_removed_and_computed_no_more(measured, capsys):
    both = {"run.perturbations": ["gain", "reverb"], "perturbations.reverb.grid": [0.1, 0.5]}
    before = measured(**both)
    assert set(before) == {"original.h5", "-40.h5", "-10.h5", "5.h5", "0.1.h5", "0.5.h5"}
    assert set(measured()) == {"original.h5", "-40.h5", "-10.h5", "5.h5"}
    assert not paths.distances("reverb", 0).parent.exists()
    capsys.readouterr()
    assert measured(**both) == before
    assert "distances: computed 0 of 6 values, reused 6" in capsys.readouterr().out


@pytest.mark.parametrize("change", [{"distances.mfcc": 20}, {"distances.subsequence": 31}])
def test_what_determines_numbers_recomputes(measured, capsys, change):
    measured()
    capsys.readouterr()
    measured(**change)
    assert "distances: computed 4 of 4" in capsys.readouterr().out


@pytest.mark.parametrize("changes", [{"compute.workers": 2}, {"compute.chunk": 1}, {"perturb.keep_audio": True}])
def test_bytes_do_not_depend_on_where_they_are_computed(measured, changes, monkeypatch):
    alone = measured()
    forget()
    monkeypatch.setattr(analysis, "_SIDE", 3)
    assert measured(**changes) == alone


def test_long_clips_come_in_smaller_blocks(measured, monkeypatch):
    alone = measured()
    forget()
    monkeypatch.setattr(analysis, "_CELLS", 1)
    assert measured() == alone


def test_a_run_that_breaks_goes_on_at_the_first_value_that_is_missing(measured, monkeypatch, capsys):
    undisturbed = measured()
    forget()
    block, calls = analysis._block, []

    def breaks(*task):
        calls.append(task)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return block(*task)

    monkeypatch.setattr(analysis, "_block", breaks)
    with pytest.raises(KeyboardInterrupt):
        measured()
    assert len(list(paths.DISTANCES.rglob("*.h5"))) == 2
    monkeypatch.setattr(analysis, "_block", block)
    assert measured() == undisturbed
    assert "distances: computed 2 of 4" in capsys.readouterr().out


def test_a_measure_that_is_not_asked_for_is_not_computed(measured):
    measured(**{"distances.measures": ["dtw"]})
    assert set(read_distances(paths.distances("gain", "5")).matrices) == {"dtw"}


def test_short_clips_are_counted_in_one_line(measured, capsys):
    measured(**{"distances.subsequence": 40})
    printed = capsys.readouterr().out
    assert printed.count("shorter than a passage") == 1
    counts = "4 at original, 4 at gain/-40, 4 at gain/-10, 4 at gain/5"
    assert f"of 7 clips, {counts} are shorter than a passage of SiMPle, 40 frames or 0.91 s" in printed


def test_one_valid_clip_is_too_few(edited, tiny_corpus):
    table = pd.DataFrame(tiny_corpus)
    table["valid"] = table["clip"] == "clip2"
    write_table(paths.CLIPS, table)
    with pytest.raises(UserError, match="at least 2 valid clips, data/corpus/clips.csv has 1"):
        update_distances(edited({}))


def test_an_unknown_measure(edited):
    with pytest.raises(UserError, match=r"distances.measures names 'simpel'.*did you mean 'simple'"):
        edited({"distances.measures": ["dtw", "simpel"]})


def test_a_clip_that_is_not_finite_is_named(measured, monkeypatch):
    monkeypatch.setattr(mfcc_sequences, "mfcc_sequence", lambda *_: np.full((40, 24), np.nan, dtype=np.float32))
    with pytest.raises(UserError, match="clip clip0 at original holds NaN"):
        measured()
