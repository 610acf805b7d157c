"""params.yaml: as committed it loads; each mistake gives one message that names key, value and bounds."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshift.errors import UserError
from earshift.options import value_text
from earshift.pipeline import config, preset

REPOSITORY = Path(__file__).parents[2]


def test_the_committed_file_loads(workspace):
    loaded = config.load()
    assert loaded.fidelity == "corrected"
    assert not any(loaded.switches.values())
    assert set(loaded.run.encoders) <= set(loaded.encoders)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"fidelity": "exact"}, r"fidelity is 'exact'; it must be one of corrected, paper"),
        ({"fidelty": "paper"}, r"unknown section fidelty .*did you mean 'fidelity'"),
        ({"cca.permutation": 3}, r"unknown key cca.permutation.*did you mean 'permutations'"),
        ({"cca.permutations": 0}, r"cca.permutations is 0; it must be a whole number from 1 to 100000"),
        ({"cca.permutations": 2.5}, r"cca.permutations is 2.5; it must be a whole number"),
        ({"cca.permutations": True}, r"cca.permutations is True"),
        ({"cca.confidence": 1.5}, r"cca.confidence is 1.5; it must be a number from 0.5 to 0.999"),
        ({"cca.confidence": float("nan")}, r"cca.confidence is nan"),
        ({"corpus.name": "irmaz"}, r"corpus.name is 'irmaz'; it must be one of .*general_midi"),
        ({"corpus.on_bad_clip": "ignore"}, r"corpus.on_bad_clip is 'ignore'; it must be one of error, skip"),
        ({"corpus.split.folds": 1}, r"corpus.split.folds is 1; it must be a whole number from 2"),
        ({"corpus.foldr": {}}, r"unknown key corpus.foldr.*did you mean 'folder'"),
        ({"corpus.general_midi.pieces": 0}, r"corpus.general_midi.pieces is 0"),
        ({"run.encoders": []}, r"run.encoders is \[\]; it must be a list of names with at least one"),
        ({"run.encoders": ["mfcc", "mfcc"]}, r"run.encoders names 'mfcc' twice"),
        ({"run.encoders": ["mfc"]}, r"run.encoders names 'mfc', which has no section.*did you mean 'mfcc'"),
        ({"run.perturbations": ["echo"]}, r"run.perturbations names 'echo', which has no section"),
        ({"perturbations.gain.grid": [-200, 0]}, r"perturbations.gain.grid holds -200; .* from -120 to 60"),
        ({"perturbations.gain.grid": [1]}, r"perturbations.gain.grid is \[1\]; .*at least two values"),
        ({"perturbations.gain.grid": [1, 1.0]}, r"perturbations.gain.grid holds 1 twice"),
        ({"perturbations.gain.grid": ["loud", 1]}, r"perturbations.gain.grid holds 'loud'"),
        ({"perturbations.bitcrush.grid": [4.5, 8]}, r"perturbations.bitcrush.grid holds 4.5; .*whole numbers"),
        ({"perturbations.reverb.grid": [0.5, 1.1]}, r"perturbations.reverb.grid holds 1.1; .*from 0 to 1"),
        ({"perturbations.echo": {"grid": [1, 2]}}, r"unknown perturbation perturbations.echo; known: .*gain"),
        ({"encoders.musicn": {}}, r"unknown encoder encoders.musicn; .*did you mean 'musicnn'.*encoders.musicn.class"),
        ({"encoders.musicnn.layer": "last"}, r"encoders.musicnn.layer is 'last'"),
        ({"encoders.mine": {"class": "nowhere:Mine"}, "run.encoders": ["mine"]}, r"cannot import 'nowhere:Mine'"),
        ({"encoders.mine": {"class": "nowhere"}, "run.encoders": ["mine"]}, r"write it as package.module:Class"),
        ({"encoders.mine": {"class": "json:JSONDecoder"}, "run.encoders": ["mine"]}, r"must be a class that extends"),
        ({"compute.workers": 0}, r"compute.workers is 0; it must be auto or a whole number from 1"),
        ({"compute.device": "gpu"}, r"compute.device is 'gpu'; it must be auto, cpu, cuda or cuda:N"),
        ({"cca": None}, r"missing key cca.ridge"),
        ({"cca": [1]}, r"cca is \[1\]; it must be a section"),
    ],
    ids=lambda v: str(v)[:40] if isinstance(v, dict) else "",
)
def test_one_message_for_each_mistake(edited, changes, message):
    with pytest.raises(UserError, match=message) as caught:
        edited(changes)
    assert "\n" not in str(caught.value)


def test_missing_section_and_file(workspace):
    document = config.read()
    del document["svd"]
    with pytest.raises(UserError, match="missing section svd"):
        config.parse(document)
    (workspace / "params.yaml").write_text("cca: [1")
    with pytest.raises(UserError, match="not valid YAML"):
        config.load()
    (workspace / "params.yaml").unlink()
    with pytest.raises(UserError, match="run from the repository root"):
        config.load()


def test_paper_sets_the_switches_and_a_hand_set_one_wins(edited):
    loaded = edited({"fidelity": "paper", "perturb.clip": False})
    assert loaded.switches == {"reverb_tail": True, "wav_round_trip": True, "clip": False}


@given(st.floats(-1e6, 1e6))
def test_value_text_is_canonical(value):
    text = value_text(value)
    assert value_text(text) == text and float(text) == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_value_text_forms():
    assert [value_text(v) for v in (-40.0, -0.0, 0.5, 18333.333, 4)] == ["-40", "0", "0.5", "18333.333", "4"]


@pytest.mark.parametrize("name", sorted(path.stem for path in REPOSITORY.glob("presets/*.yaml")))
def test_presets_lay_over(workspace, name):
    before = config.read()
    preset.lay_over(name)
    after = config.read()
    assert after != before
    assert "# Every number of the pipeline" in (workspace / "params.yaml").read_text()


def test_full_grids_are_the_studys(workspace):
    """108 values: 31 gains, 31 cut-off frequencies, 34 room sizes, 12 bit depths."""
    import numpy as np

    preset.lay_over("deng2025-grids")
    grids = {name: p.values() for name, p in config.load().perturbations.items()}
    np.testing.assert_allclose(grids["gain"], np.arange(-40, 5.01, 1.5))
    np.testing.assert_allclose(grids["lowpass"][::-1], np.round(np.geomspace(1600, 22000 / 1.2, 31), 3))
    np.testing.assert_allclose(grids["reverb"], np.linspace(0.01, 1, 100)[::3])
    np.testing.assert_allclose(grids["bitcrush"][::-1], np.arange(4, 16))


def test_the_first_study_as_published(workspace):
    preset.lay_over("deng2025")
    paper = config.load()
    assert paper.fidelity == "paper" and paper.corpus.name == "irmas" and not paper.perturb.keep_audio
    assert paper.run.encoders == ("openl3", "panns", "clap")
    assert {paper.encoders[name].policy for name in paper.run.encoders} == {"paper"} and all(paper.switches.values())
    assert [len(paper.perturbations[name].grid) for name in paper.run.perturbations] == [31, 31, 34, 12]


def test_presets_that_extend_each_other_in_a_circle(workspace):
    for name, other in (("one", "two"), ("two", "one")):
        (workspace / f"presets/{name}.yaml").write_text(f"extends: {other}\n")
    with pytest.raises(UserError, match="presets one, two extend each other in a circle"):
        preset.lay_over("one")


def test_a_policy_that_is_left_open_follows_fidelity(edited):
    assert edited({"fidelity": "paper"}).encoders["clap"].policy == "paper"
    assert edited({"fidelity": "paper", "encoders.clap.policy": "corrected"}).encoders["clap"].policy == "corrected"
    assert edited({"fidelity": "corrected", "encoders.clap.policy": None}).encoders["clap"].policy == "corrected"


def test_audio_is_kept_where_making_it_takes_long(edited):
    params = edited({})
    assert params.keeps_audio("pitch") and params.keeps_audio("mp3") and not params.keeps_audio("gain")
    assert not edited({"perturb.keep_audio": False}).keeps_audio("pitch")
    assert edited({"perturb.keep_audio": True}).keeps_audio("gain")


def test_nested_sections_are_checked(edited):
    with pytest.raises(UserError, match="unknown key encoders.panns.weights.pat; .*did you mean 'path'"):
        edited({"encoders.panns.weights": {"pat": "x"}})
    with pytest.raises(UserError, match="clap.policy is 'papers'; it must be one of paper, corrected, or null"):
        edited({"encoders.clap.policy": "papers"})


def test_unknown_preset(workspace):
    with pytest.raises(UserError, match="no preset 'x'; there are deng2025, deng2025-grids, "):
        preset.lay_over("x")


def test_old_names_say_the_new_ones(edited):
    with pytest.raises(UserError, match="the preset paper3-grids is called kim2019-grids now: make preset NAME=kim"):
        preset.lay_over("paper3-grids")
    moved = "perturbations.ambient_noise.source is now perturbations.ambient_noise.recordings; rename it there"
    with pytest.raises(UserError, match=f"params.yaml: {moved}"):
        edited({"perturbations.ambient_noise.source": "/rain"})


def test_old_words_in_values_say_the_new_ones(edited, monkeypatch):
    monkeypatch.setitem(config.RENAMED, "run.encoders = old", "run.encoders = new")
    with pytest.raises(UserError, match="params.yaml: run.encoders = old is now run.encoders = new"):
        edited({"run.encoders": ["mfcc", "old"]})
    monkeypatch.delitem(config.RENAMED, "run.encoders = old")
    monkeypatch.setitem(config.RENAMED, "comparison.severity = old", "comparison.severity = new")
    with pytest.raises(UserError, match="comparison.severity = old is now comparison.severity = new"):
        edited({"run.encoders": ["mfcc"], "comparison.severity": "old"})


@pytest.mark.parametrize(
    "name", ["my.mfcc", "x;touch PWNED;#", "a/b", "..", "-x", "_x", "$(x)", "`x`", "a b", "x\n", "ünïcode"]
)
def test_names_in_run_are_safe_in_files_stages_and_shells(workspace, name):
    document = config.read()
    document["encoders"][name] = {"class": "earshift.encoders.mfcc:Mfcc", **document["encoders"]["mfcc"]}
    document["run"]["encoders"] = [name]
    with pytest.raises(UserError, match="run.encoders.*letter") as raised:
        config.parse(document)
    assert repr(name) in str(raised.value)


def test_names_in_run_differ_by_more_than_case(workspace):
    document = config.read()
    document["encoders"]["MFCC"] = {"class": "earshift.encoders.mfcc:Mfcc", **document["encoders"]["mfcc"]}
    document["run"]["encoders"] = ["mfcc", "MFCC"]
    with pytest.raises(UserError, match="run.encoders names 'mfcc' and 'MFCC', which name the same folder"):
        config.parse(document)
