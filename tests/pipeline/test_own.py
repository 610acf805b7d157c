"""Somebody's own audio, data set and encoder in the whole pipeline, and a mistake in params.yaml.

Each test works on a copy of the repository whose pipeline was run once for all tests.
"""

import numpy as np
import pytest
import soundfile
from clones import REPOSITORY, cloned, counts, ran

from benchmarks.mirror import fsd50k
from earshift.storage.clips import read_clips


@pytest.fixture
def folder(tmp_path, rng):
    """Somebody's own audio: formats, rates, lengths, channels and depths mixed, no labels."""
    root = tmp_path / "audio"
    kinds = [("wav", 44100, 2, "PCM_16"), ("wav", 8000, 1, "PCM_U8"), ("flac", 48000, 1, "PCM_24"),
             ("ogg", 22050, 2, "VORBIS"), ("wav", 96000, 2, "FLOAT"), ("mp3", 44100, 1, "MPEG_LAYER_III"),
             ("aiff", 16000, 1, "PCM_16"), ("flac", 32000, 2, "PCM_16")]  # fmt: skip
    for i in range(12):
        extension, rate, channels, subtype = kinds[i % len(kinds)]
        seconds = (0.4, 1.0, 3.0, 4.3, 7.9)[i % 5]
        path = root / f"sub {i % 2}" / f"é {i}.{extension}"
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(int(seconds * rate)) / rate
        tone = np.sin(2 * np.pi * 110 * (i + 1) * time)[:, None] * 0.3 + rng.normal(0, 0.02, (len(time), channels))
        soundfile.write(path, tone, rate, subtype=subtype)
    (root / "notes.txt").write_text("not audio")
    return root


def test_somebodys_own_folder_and_encoder_and_changes_of_it(first, folder, tmp_path):
    """The encoder of docs/extending.md, outside of stages/: a change of its code is noticed."""
    own = cloned(first, tmp_path / "own")
    text = (REPOSITORY / "docs/extending.md").read_text().split("```python\n")[1].split("```")[0]
    text = text.replace("window = 0.1", "window = 3.0")
    (own.root / "mine.py").write_text(text)
    own.set({"encoders.mine": {"class": "mine:Rms", "slices": 8}})
    own.commit("mine")
    log = own.dvc("exp", "run", "-S", "corpus.name=folder", "-S", f"corpus.folder.path='{folder}'",
                  "-S", "run.encoders=[mine]", "-S", "run.perturbations=[lowpass]",
                  "-S", "perturbations.lowpass.grid=[1600,6912,18333]", "summary")  # fmt: skip
    assert "clips are shorter than the encoder's window" in log
    clips = read_clips(own.root / "data/corpus/clips.csv")
    assert len(clips) == 12 and clips.valid.all() and set(clips.label) == {""}
    assert {"mine"} == set(own.json("metrics/summary.json"))

    assert not ran(own.dvc("repro", "embed@mine"))
    (own.root / "mine.py").write_text(text + "# said differently\n")
    assert not ran(own.dvc("repro", "embed@mine"))
    (own.root / "mine.py").write_text(text.replace("p**2", "p**4"))
    log = own.dvc("repro", "embed@mine")
    assert ran(log) - {"models@mine"} == {"embed@mine"} and counts(log)["embed mine"] == (4, 4, 0)


@pytest.mark.slow
def test_fsd50k_in_its_official_layout_and_a_stream_that_is_trained_on_it(first, tmp_path):
    own = cloned(first, tmp_path / "own")
    root = fsd50k.write(tmp_path / "FSD50K", clips=40, evaluation=20)
    options = {
        "corpus.name": "fsd50k", "corpus.fsd50k.root": f"'{root}'", "run.encoders": "[diverse_timbre]",
        "run.perturbations": "[gain]", "perturbations.gain.grid": "[-40,-10,5]", "diverse.epochs": 2,
        "diverse.threads": 1, "diverse.networks.transformer.heads": 2, "diverse.networks.transformer.head_width": 8,
        "diverse.networks.transformer.hidden": 16,
    }  # fmt: skip
    own.dvc("exp", "run", *(part for key, value in options.items() for part in ("-S", f"{key}={value}")))
    clips = read_clips(own.root / "data/corpus/clips.csv")
    assert clips["split"].value_counts().to_dict() == {"train": 30, "test": 20, "valid": 10}
    assert clips["tags"].str.len().gt(0).all() and set(clips["label"]) == {""}
    about = own.json("data/models/diverse_timbre/model.json")["tasks"]["tagging"]
    assert about["clips"] == {"train": 30, "valid": 10, "test": 20} and about["epochs"] == 2
    task = own.json("metrics/performance/diverse_timbre/gain.json")["tasks"]["tagging"]
    assert 0 <= task["original_low"] <= task["original"] <= task["original_high"] <= 1 and task["clips"] == 20
    assert {"diverse_timbre"} == set(own.json("metrics/summary.json"))
    (parent,) = [run for run in own.parents() if any("diverse_timbre" in name for name in own.children(run))]
    numbers = own.children(parent)["diverse_timbre / gain"]
    assert {"performance/tagging", "performance/tagging_original", "performance/tagging_at_value"} <= set(numbers)
    logged = own.mlflow("select key from latest_metrics where run_uuid = ?", parent)
    assert ("training/diverse_timbre.tagging.validation_loss",) in logged


def test_a_mistake_stops_before_anything_is_computed(first, tmp_path):
    wrong = cloned(first, tmp_path / "wrong")
    wrong.set({"svd.energy": 2})
    log = wrong.dvc("repro", check=False)
    assert "earshift: svd.energy is 2; it must be a number from 0.01 to 0.9999" in log
    assert "Traceback" not in log and ran(log) == set() and not (wrong.root / "data/corpus").exists()


@pytest.mark.parametrize("names", [["x;touch PWNED;#"], ["sub/mine"], ["mfcc", "MFCC"]])
def test_names_that_files_or_shells_misread_stop_before_anything_is_computed(first, tmp_path, names):
    wrong = cloned(first, tmp_path / "wrong")
    sections = wrong.params()["encoders"]
    missing = {name: {"class": "earshift.encoders.mfcc:Mfcc", **sections["mfcc"]} for name in {*names} - {"mfcc"}}
    wrong.set({"run.encoders": names, "encoders": {**sections, **missing}})
    log = wrong.dvc("repro", check=False)
    assert "earshift: run.encoders names" in log and ran(log) == set(), log
    assert not (wrong.root / "data/corpus").exists() and not list(tmp_path.rglob("PWNED"))


def test_a_perturbation_by_such_a_name_stops_as_well(first, tmp_path):
    wrong = cloned(first, tmp_path / "wrong")
    wrong.set({"run.perturbations": ["gain;touch PWNED;#"]})
    log = wrong.dvc("repro", check=False)
    assert "run.perturbations names 'gain;touch PWNED;#'" in log and ran(log) == set(), log
    assert not (wrong.root / "data/corpus").exists() and not list(tmp_path.rglob("PWNED"))
