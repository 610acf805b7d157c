"""Parts keep recordings whole, crops keep inside clips, packing keeps audio and stems."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from earshift.errors import UserError
from earshift.pipeline import training_data
from earshift.pipeline.training_data import TrainingCorpus
from earshift.storage.packed_audio import AudioReader
from earshift.training.data import assign_parts
from earshift.training.excerpt import centre, crop, middle, mono


def table(recordings=20, clips=2, labels=4, test=5):
    return pd.DataFrame(
        {"group": f"g{r}", "label": f"l{r % labels}", "split": "test" if r < test else "train"}
        for r in range(recordings)
        for _ in range(clips)
    )


def test_recordings_are_whole_and_every_label_is_on_both_sides(edited):
    clips = table(44, 2, 4, 4)
    part = assign_parts(clips, edited({"training.validation": 0.2}).training, trial=0)
    assert (pd.Series(part).groupby(clips["group"]).nunique() == 1).all()
    assert (part[clips["split"] == "test"] == "test").all() and set(part) == {"train", "valid", "test"}
    assert (part == "valid").sum() == 2 * 8
    for name in ("train", "valid"):
        assert set(clips["label"][part == name]) == {"l0", "l1", "l2", "l3"}


def test_trials_draw_differently_and_are_held_back_alike(edited):
    training = edited({"training.draw": 0.7}).training
    first, second = (assign_parts(table(40), training, trial=trial) for trial in (0, 1))
    np.testing.assert_array_equal(first == "valid", second == "valid")
    assert (first == "train").sum() == (second == "train").sum() == 2 * round(0.7 * 28)
    assert (first != second).any() and "" in first


def test_too_few_recordings_is_an_error(edited):
    with pytest.raises(UserError, match="no validation clips: the corpus has 3 training recordings"):
        assign_parts(table(4, test=1), edited({"training.validation": 0.2}).training, trial=0)
    with pytest.raises(UserError, match="no test clips"):
        assign_parts(table(40, test=0), edited({}).training, trial=0)


def test_excerpts(rng):
    audio = np.arange(20.0)
    np.testing.assert_array_equal(centre(audio, 6), np.arange(7, 13))
    np.testing.assert_array_equal(centre(audio[:3], 5), [0, 1, 2, 0, 0])
    found = {float(crop(audio, 6, rng)[0]) for _ in range(300)}
    assert found == set(np.arange(15.0))
    stereo = rng.normal(size=(2, 44100)).astype(np.float32)
    assert mono(stereo, 44100).shape == (22050,) and middle(stereo, 44100).shape == (44100,)
    assert (middle(stereo, 44100)[22050:] == 0).all()


def prepare(params, corpus=None, *, stems):
    return TrainingCorpus(params, corpus).prepare(params.training, trial=0, rate=22050, stems=stems)


def test_packing_keeps_the_mixture_and_its_parts(tones):
    params = tones()
    plain, apart = (prepare(params, stems=stems) for stems in (False, True))
    assert plain.audio != apart.audio and list(plain.clips["tags"][:2]) == ["low|trembling", "high"]
    np.testing.assert_array_equal(plain.tag_table(["trembling"])[:4, 0], [True, False, False, True])
    with AudioReader(plain.audio) as one, AudioReader(apart.audio) as two:
        mixture, (both, rate) = one[3][0], two[3]
        assert mixture.shape == (1, int(2.2 * 22050)) and rate == 22050
        np.testing.assert_allclose(both[0], mixture[0], atol=2 / 32768)
        lead, _ = params.corpus.chosen.separate(3)[0]
        np.testing.assert_allclose(both[1], lead[0], atol=1 / 32768)
    assert TrainingCorpus(params, "tones").is_own


def test_another_corpus_can_be_trained_on(tones, monkeypatch):
    """Its table is made once and found again."""
    params = tones()
    other = dataclasses.replace(params, corpus=dataclasses.replace(
        params.corpus, name="general_midi", configured={"tones": params.corpus.chosen}))  # fmt: skip
    found = prepare(other, "tones", stems=True)
    assert found.clips["clip"].tolist() == [f"clip{i}" for i in range(18)]
    monkeypatch.setattr(training_data, "pack", None)
    assert prepare(other, "tones", stems=True).digest == found.digest


def test_a_corpus_without_stems_is_named(tones):
    params = tones()
    source = params.corpus.chosen
    type(source).separate, before = (lambda self, recording: None), type(source).separate
    try:
        with pytest.raises(UserError, match="has no stems, which separation needs"):
            prepare(params, stems=True)
    finally:
        type(source).separate = before
