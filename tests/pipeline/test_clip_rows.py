"""Vectors of clips that are known are reused in another corpus, those of the very same audio and no others."""

import shutil

import numpy as np
import pandas as pd
import pytest

from earshift.encoders.mfcc import Mfcc
from earshift.pipeline import artifacts, outputs, paths
from earshift.pipeline.artifacts import Artifact, Output, make_key, making
from earshift.pipeline.clip_rows import ClipRows
from earshift.pipeline.embed import embed
from earshift.pipeline.perturb import perturb
from earshift.storage.clips import corpus_digest
from earshift.storage.files import write_table
from earshift.storage.vectors import Embeddings, write_embeddings

FOLDER = paths.EMBEDDINGS / "toy"
DIM = 3


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def corpus(sounds, *, rate=8000, invalid="", names=None):
    """A table of clips, one for each letter; equal letters are equal audio."""
    return pd.DataFrame({
        "clip": names or [f"clip{i}" for i in range(len(sounds))],
        "sha256": [f"sound {letter}" for letter in sounds],
        "sample_rate": rate,
        "valid": [letter not in invalid for letter in sounds],
    })  # fmt: skip


def vectors(sounds):
    return np.array([[ord(letter), i, 0] for i, letter in enumerate(sounds)], dtype=np.float32)


def artifact(clips, *, option=1, by_rows=True):
    key = make_key("embed", contents={"clips": corpus_digest(clips), "audio": "a"}, options=option, code=[])
    return Artifact("original", key, (FOLDER / "original.h5",), by_rows)


def compute(clips, features, **how):
    """Put vectors of a corpus into the store, as the stage does."""
    one = artifact(clips, **how)
    ClipRows(clips)
    output = Output(FOLDER, [one])
    output.missing()
    with making(one) as root:
        valid = clips["valid"].to_numpy()
        write_embeddings(root / one.places[0], Embeddings(features, list(clips["clip"]), valid))
    output.take(one)
    return one


def known(clips, dim=DIM, **how):
    features, left = ClipRows(clips).known(artifact(clips, **how), dim)
    assert features.shape == (len(clips), dim) and features.dtype == np.float32
    assert np.isnan(features[left]).all()
    return features, left


def test_clips_that_are_added_are_left_and_the_others_are_where_they_belong(here):
    compute(corpus("abcd"), vectors("abcd"))
    features, left = known(corpus("xbyda"))
    assert left == [0, 2]
    np.testing.assert_array_equal(features[[1, 3, 4]], vectors("abcd")[[1, 3, 0]])


def test_nothing_is_left_of_a_part_of_a_corpus(here):
    compute(corpus("abcd"), vectors("abcd"))
    features, left = known(corpus("ca"))
    assert left == []
    np.testing.assert_array_equal(features, vectors("abcd")[[2, 0]])


def test_a_clip_is_its_audio_and_no_name(here):
    compute(corpus("ab"), vectors("ab"))
    assert known(corpus("ab", names=["other", "names"]))[1] == []
    assert known(corpus("yz"))[1] == [0, 1]
    assert known(corpus("ab", rate=16000))[1] == [0, 1], "the same samples at another rate are another sound"
    assert known(corpus("ab", invalid="a"))[1] == [0]


def test_several_corpora_complete_each_other(here):
    compute(corpus("ab"), vectors("ab"))
    compute(corpus("cd"), vectors("cd"))
    features, left = known(corpus("dxab"))
    assert left == [1]
    np.testing.assert_array_equal(features[[0, 2, 3]], [*vectors("cd")[[1]], *vectors("ab")])


def test_a_clip_that_is_there_twice_has_its_vector_twice(here):
    compute(corpus("ab"), vectors("ab"))
    features, left = known(corpus("bab"))
    assert left == []
    np.testing.assert_array_equal(features, vectors("ab")[[1, 0, 1]])


def test_an_invalid_clip_has_no_vector_and_is_known(here):
    found = vectors("abc")
    found[1] = np.nan
    compute(corpus("abc", invalid="b"), found)
    features, left = known(corpus("cbax", invalid="b"))
    assert left == [3] and np.isnan(features[1]).all() and np.isfinite(features[[0, 2]]).all()


@pytest.mark.parametrize("earlier, now", [({"option": 2}, {}), ({"by_rows": False}, {}), ({}, {"by_rows": False})])
def test_what_was_computed_otherwise_is_not_used(here, earlier, now):
    compute(corpus("abcd"), vectors("abcd"), **earlier)
    assert known(corpus("abcde"), **now)[1] == [0, 1, 2, 3, 4]


def test_another_code_is_another_family(here, monkeypatch):
    compute(corpus("ab"), vectors("ab"))
    monkeypatch.setattr(artifacts, "_code", lambda *modules: ("another", {}))
    assert known(corpus("abc"))[1] == [0, 1, 2]


def test_vectors_of_another_length_are_not_used(here):
    compute(corpus("ab"), vectors("ab"))
    assert known(corpus("abc"), dim=4)[1] == [0, 1, 2]


def test_damaged_vectors_are_not_used_and_others_are(here):
    one = compute(corpus("ab"), vectors("ab"))
    compute(corpus("bc"), vectors("bc"))
    file = artifacts.store().file(one.key.sha256, "data/embeddings/toy/original.h5")
    file.write_bytes(file.read_bytes()[:-9])
    features, left = known(corpus("abc"))
    assert left == [0]
    np.testing.assert_array_equal(features[1:], vectors("bc"))


def test_pulled_vectors_are_of_the_clips_that_were_pulled_with_them(here):
    """The first stage keeps what was pulled, before the corpus becomes another one."""
    clips = corpus("ab").assign(group="", label="", genre="", split="train", seconds=1.0, channels=1, problem="")
    write_table(paths.CLIPS, clips)
    compute(clips, vectors("ab"))
    shutil.rmtree(paths.STORE)
    outputs.keep_all()
    features, left = known(corpus("xab"))
    assert left == [0]
    np.testing.assert_array_equal(features[1:], vectors("ab"))


# ------------------------------------------------------------------------------------------------------------ the stage


@pytest.fixture
def grown(workspace, edited, capsys, request):
    """Embed a corpus, and the same with a clip more: what the stage said, and its files by name."""
    (plugin,) = (each for each in request.config.pluginmanager.get_plugins() if hasattr(each, "write_corpus"))

    def run(perturbation="gain", **changes):
        grids = {"perturbations.gain.grid": [-10, 5], "perturbations.reverb.grid": [0.1, 0.9]}
        settings = {"run.encoders": ["mfcc"], "run.perturbations": [perturbation], "compute.workers": 1, **grids}
        params = edited({**settings, **changes})
        for clips in (5, 6):
            plugin.write_corpus(np.random.default_rng(1), clips=clips, invalid=(3,))
            perturb(params, perturbation)
            capsys.readouterr()
            embed(params, "mfcc")
        return capsys.readouterr().out, {path.name: path.read_bytes() for path in paths.EMBEDDINGS.rglob("*.h5")}

    return run


def again():
    """The clips of today, with nothing to reuse."""
    for folder in (paths.EMBEDDINGS, paths.STORE):
        shutil.rmtree(folder)


def test_a_clip_more_costs_itself_and_gives_the_same_bytes(grown, edited):
    said, files = grown()
    assert "computed 3 of 3 values" in said and "reused 0; 15 vectors of clips that were here before" in said
    again()
    embed(edited({}), "mfcc")
    assert {path.name: path.read_bytes() for path in paths.EMBEDDINGS.rglob("*.h5")} == files


def test_of_an_encoder_that_takes_several_clips_at_once_nothing_is_reused(grown, monkeypatch):
    """Its last digits may depend on which clips these are."""
    monkeypatch.setattr(Mfcc, "batch", 2)
    said, _ = grown()
    assert "computed 3 of 3 values" in said and "here before" not in said


def test_where_clips_leave_something_to_the_next_nothing_is_reused(grown):
    said, _ = grown("reverb", **{"perturb.reverb_tail": True})
    assert "computed 3 of 3 values" in said and "; 5 vectors of clips that were here before" in said, "the originals"
