"""Excerpts: which clips and values one hears, that they are what encoders hear, and when there are none."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
import soundfile

from earshift.perturbations import mp3
from earshift.perturbations.recipe import batches
from earshift.pipeline import excerpts, paths
from earshift.pipeline.corpus_audio import corpus_audio
from earshift.pipeline.perturb import perturb
from earshift.pipeline.recipes import plan_recipes, read_recipes
from earshift.storage.files import read_json
from earshift.storage.packed_audio import AudioReader
from stages.excerpts import main

GRID = [-20, -10, 0, 5, 6]


@pytest.fixture
def made(tiny_corpus, edited):
    """A function that runs perturb and excerpts with changed parameters and gives what was written."""

    def run(name="gain", **changes):
        params = edited({f"perturbations.{name}.grid": GRID if name == "gain" else [0.1, 0.5, 0.9, 1.0],
                         "compute.workers": 1, "report.clips": 2, **changes})  # fmt: skip
        perturb(params, name)
        excerpts.write_excerpts(params, name, paths.excerpts(name))
        return read_json(paths.excerpts(name))

    return run


def heard(excerpt):
    """Audio [shape=(channels, samples)] and sample rate of one excerpt."""
    audio, rate = soundfile.read(io.BytesIO(base64.b64decode(excerpt["mp3"])), always_2d=True)
    return audio.T, rate


def table(labels, split="train", valid=True):
    return pd.DataFrame({"label": labels, "split": split, "valid": valid})


def test_clips_are_spread_over_labels():
    clips = table(list("aabbccdd"))
    assert excerpts.draw_clips(clips, 2) == [0, 4]
    assert excerpts.draw_clips(clips, 4) == [0, 2, 4, 6]
    assert excerpts.draw_clips(clips, 6) == [0, 1, 2, 4, 5, 6]


def test_clips_without_labels_are_spread_over_the_corpus():
    assert excerpts.draw_clips(table([""] * 9), 3) == [0, 3, 6]
    assert excerpts.draw_clips(table([""] * 2), 3) == [0, 1]


def test_test_clips_are_preferred_and_invalid_ones_never_taken():
    clips = table(list("aaabbb"), split=["train", "train", "test", "train", "test", "test"])
    assert excerpts.draw_clips(clips, 2) == [2, 4]
    clips.loc[2, "valid"] = clips.loc[4, "valid"] = False
    assert excerpts.draw_clips(clips, 2) == [0, 5]
    assert excerpts.draw_clips(clips.assign(valid=False), 2) == []


@pytest.mark.parametrize("grid, expected", [
    ([-20, -10, 0, 5, 6], ["-20", "5", "6"]),  # 0 dB changes nothing
    ([0, 5], ["5"]),
    ([-5, 5], ["-5", "5"]),
    ([-3, -2, -1], ["-3", "-2", "-1"]),
])  # fmt: skip
def test_weakest_middle_and_strongest(edited, grid, expected):
    recipes = plan_recipes(edited({"perturbations.gain.grid": grid}), "gain")
    assert [recipe.value for recipe in excerpts.draw_recipes(recipes)] == expected


def test_what_is_heard_is_what_was_made_of_the_clip(made, tiny_corpus):
    content = made()
    assert (content["unit"], content["silent"]) == ("dB", "")
    rows = excerpts.draw_clips(tiny_corpus, 2)
    assert [of["clip"] for of in content["clips"]] == list(tiny_corpus["clip"][rows])
    for row, of in zip(rows, content["clips"], strict=True):
        assert [e["value"] for e in of["excerpts"]] == ["original", "-20", "5", "6"]
        loudness = []
        for excerpt in of["excerpts"]:
            audio, rate = heard(excerpt)
            assert rate == tiny_corpus.sample_rate[row] and len(audio) == tiny_corpus.channels[row]
            loudness.append(20 * np.log10(np.sqrt(np.mean(audio**2))))
        np.testing.assert_allclose(np.array(loudness[1:]) - loudness[0], [-20, 5, 6], atol=0.5)


def test_a_faster_clip_is_heard_as_long_as_it_is(made):
    content = made("tempo", **{"perturbations.tempo.grid": [0.5, 1, 1.5], "perturb.severity_clips": 2})
    (first, *_) = content["clips"]
    assert [e["value"] for e in first["excerpts"]] == ["original", "0.5", "1.5"]
    seconds = [audio.shape[1] / rate for audio, rate in map(heard, first["excerpts"])]
    np.testing.assert_allclose(np.array(seconds) / seconds[0], [1, 2, 1 / 1.5], rtol=0.01)


def test_at_most_six_seconds(made, monkeypatch):
    monkeypatch.setattr(excerpts, "SECONDS", 0.25)
    whole = 30000 / 44100
    audio, rate = heard(made()["clips"][0]["excerpts"][0])
    assert audio.shape[1] / rate < 0.25 + 0.1 < whole  # MP3 adds a few hundredths


def test_a_tail_that_runs_into_the_next_clip_is_heard(made, edited):
    """With ``reverb_tail`` what one hears is what embed reads: all clips before have passed."""
    made("reverb", **{"perturb.reverb_tail": True})
    params = edited({"perturb.reverb_tail": True, "perturbations.reverb.grid": [0.1, 0.5, 0.9, 1.0]})
    recipe = read_recipes("reverb")[-1]
    processor = recipe.processor()
    with AudioReader(corpus_audio(params)) as reader:
        expected = [processor(*clip) for clip in reader]
    (batch,) = batches(corpus_audio(params), recipe, [[5, 0]])
    assert recipe.ordered
    for row, (audio, _) in zip([5, 0], batch.read(), strict=True):
        np.testing.assert_array_equal(audio, expected[row])


def test_the_same_bytes_twice(made):
    made()
    first = paths.excerpts("gain").read_bytes()
    paths.excerpts("gain").unlink()
    made()
    assert paths.excerpts("gain").read_bytes() == first


def test_a_corpus_that_may_not_be_passed_on_has_none_and_needs_no_audio(made, monkeypatch):
    monkeypatch.setattr("earshift.corpora.general_midi.GeneralMidi.shareable", False, raising=False)
    monkeypatch.setattr(excerpts, "corpus_audio", lambda params: pytest.fail("audio was asked for"))
    content = made()
    assert content["clips"] == [] and "licence" in content["silent"]
    content = made(**{"report.players": False})
    assert content["clips"] == [] and content["silent"] == "report.players is false"


def test_players_can_be_asked_for(made, monkeypatch):
    monkeypatch.setattr("earshift.corpora.general_midi.GeneralMidi.shareable", False, raising=False)
    content = made(**{"report.players": True})
    assert content["silent"] == "" and len(content["clips"]) == 2


def test_the_stage_writes_those_of_the_run_and_reuses_them(made, edited, capsys):
    run = {"run.perturbations": ["gain", "reverb"], "report.clips": 2}
    grids = {"perturbations.gain.grid": GRID, "perturbations.reverb.grid": [0.1, 0.5, 0.9, 1.0]}
    for name in ("gain", "reverb"):
        made(name, **run, **grids)
    expected = {name: paths.excerpts(name).read_bytes() for name in ("gain", "reverb")}
    paths.excerpts("reverb").unlink()
    main()
    assert "computed 2 of 2 perturbations" in capsys.readouterr().out
    assert {name: paths.excerpts(name).read_bytes() for name in ("gain", "reverb")} == expected
    edited({"run.perturbations": ["gain"]})
    main()
    assert "computed 0 of 1 perturbations" in capsys.readouterr().out and not paths.excerpts("reverb").exists()
    edited({"run.perturbations": ["gain", "reverb"], "report.clips": 1})
    main()
    assert "computed 2 of 2 perturbations" in capsys.readouterr().out
    assert len(read_json(paths.excerpts("gain"))["clips"]) == 1


def test_the_stage_names_a_perturbation_without_recipes(tiny_corpus, edited):
    edited({"run.perturbations": ["gain"]})
    with pytest.raises(SystemExit, match="holds no recipes; run `dvc repro perturb@gain`"):
        main()


@pytest.mark.parametrize("rate, expected", [(44100, 44100), (96000, 48000), (37800, 44100), (7000, 8000), (8000, 8000)])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_mp3_of_any_rate_and_number_of_channels(rate, expected, channels, rng):
    tone = 0.4 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate, dtype=np.float32)
    content = mp3.encode_playable(np.tile(tone, (channels, 1)), rate)
    audio, found = soundfile.read(io.BytesIO(content), always_2d=True)
    assert found == expected and audio.shape[1] == (1 if channels == 3 else channels)
    spectrum = np.abs(np.fft.rfft(audio[:expected, 0]))
    assert abs(np.argmax(spectrum) - 440) <= 2 and len(content) < 25_000
    assert mp3.encode_playable(np.tile(tone, (channels, 1)), rate) == content
