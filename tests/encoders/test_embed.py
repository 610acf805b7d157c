"""The embed stage with an encoder that lives outside the repository: what it writes, reuses and survives."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from earshift.errors import UserError
from earshift.pipeline import embed as embed_module
from earshift.pipeline import paths
from earshift.pipeline.artifacts import read_index
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.pipeline.embed import embed
from earshift.pipeline.perturb import perturb
from earshift.storage.packed_audio import AudioReader
from earshift.storage.vectors import read_embeddings

TOYS = Path(__file__).parents[1] / "toys.py"
GRID = [-20, -10, 5]


@pytest.fixture
def toy(workspace, tiny_corpus, edited, monkeypatch):
    """Run perturb and embed with the toy encoder; returns bytes of the perturbation's embedding files by name."""
    shutil.copy(TOYS, workspace)
    monkeypatch.syspath_prepend(str(workspace))
    sys.modules.pop("toys", None)

    def run(name="Toy", perturbation="gain", delay=0, **changes):
        settings = {
            "encoders.toy": {"class": f"toys:{name}", "bands": 2, "delay": delay},
            "run.encoders": ["toy"],
            "run.perturbations": [perturbation],
            "perturbations.gain.grid": GRID,
            "compute.workers": 1,
            "compute.chunk": 2,
        }
        params = edited({**settings, **changes})
        perturb(params, perturbation)
        embed(params, "toy")
        return {p.name: p.read_bytes() for p in paths.embeddings("toy", perturbation).glob("*.h5")}

    return run


def forget():
    """Remove all vectors, from the store too."""
    for folder in (paths.EMBEDDINGS, paths.STORE):
        shutil.rmtree(folder)


@pytest.mark.parametrize(("file", "decibels"), [("original.h5", 0), ("gain/-10.h5", -10)])
def test_vectors_equal_a_direct_computation(toy, tiny_corpus, file, decibels):
    import soxr

    toy()
    found = read_embeddings(paths.embeddings("toy") / file)
    assert found.clip == list(tiny_corpus["clip"])
    assert list(found.valid) == list(tiny_corpus.valid)
    with AudioReader(corpus_audio_path()) as reader:
        for i, row in enumerate(tiny_corpus.itertuples()):
            if not row.valid:
                assert np.isnan(found.features[i]).all()
                continue
            audio = reader[i][0] * np.float32(10 ** (decibels / 20))
            waveform = soxr.resample(audio.mean(axis=0), row.sample_rate, 8000)
            waveform = np.resize(waveform, max(len(waveform), 7200))
            np.testing.assert_allclose(
                found.features[i], [waveform.mean(), waveform.std(), np.abs(waveform).max()], rtol=1e-4, atol=1e-6
            )


def test_attributes_say_where_vectors_come_from(toy):
    toy()
    attributes = read_embeddings(paths.embeddings("toy", "gain") / "5.h5").attributes
    expected = {"encoder": "toy", "dim": 3, "perturbation": "gain", "value": "5", "unit": "dB", "neutral": "0",
                "growth": "two-sided", "fidelity": "corrected", "sample_rate": 8000}  # fmt: skip
    assert expected.items() <= attributes.items()
    assert "numpy" in json.loads(attributes["packages"])
    entries = read_index(paths.embeddings("toy"))
    assert list(entries) == ["original", *(f"gain/{value}" for value in GRID)]
    assert len({entry["key"] for entry in entries.values()}) == 4


KEEP = {"perturb.keep_audio": True}


def test_fused_and_materialised_are_bit_identical(toy):
    fused = toy()
    forget()
    kept = toy(**KEEP)
    missing = corpus_audio_path()
    for value in GRID:
        (paths.embeddings("toy", "gain") / f"{value}.h5").unlink()
    shutil.rmtree(paths.STORE)
    missing.unlink()  # so that what was kept must be read
    assert toy(**KEEP) == kept == fused and not missing.exists()


def test_fused_and_materialised_with_a_tail_are_bit_identical(toy):
    changes = {"perturbations.reverb.grid": [0.5, 1.0], "fidelity": "paper"}
    fused = toy(perturbation="reverb", **changes, **{"compute.workers": 2})
    forget()
    assert toy(perturbation="reverb", **changes, **KEEP) == fused


def test_keeping_audio_or_not_reuses_vectors(toy, capsys):
    toy(**KEEP)
    toy()
    assert "embed toy: computed 0 of 4 values, reused 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes",
    [
        {"perturb.keep_audio": True},
        {"compute.workers": 2},
        {"fidelity": "paper", "compute.gpu_batch": 3},
    ],
)
def test_bytes_do_not_depend_on_the_path_for_a_gpu(toy, changes, monkeypatch):
    """One network in this process, clips prepared by threads; the toy encoder takes any device."""
    changes = {"perturbation": "reverb", "perturbations.reverb.grid": [0.5, 1.0], **changes}
    alone = toy(**changes)
    forget()
    monkeypatch.setattr(embed_module, "torch_device", lambda wanted: "cuda")
    assert toy(**changes) == alone


def test_an_error_on_the_path_for_a_gpu_is_one_message(toy, monkeypatch):
    monkeypatch.setattr(embed_module, "torch_device", lambda wanted: "cuda")
    with pytest.raises(UserError, match=r"shape \(\d, 4\)"):
        toy("Wide")


@pytest.mark.parametrize("changes", [{"compute.workers": 2}, {"compute.chunk": 100}, {"compute.chunk": 1}])
def test_bytes_do_not_depend_on_where_they_are_computed(toy, changes):
    alone = toy()
    forget()
    assert toy(**changes) == alone


def test_one_value_more_costs_one_value(toy, capsys):
    before = toy()
    after = toy(**{"perturbations.gain.grid": [*GRID, -15]})
    assert "embed toy: computed 1 of 5 values (gain/-15;" in capsys.readouterr().out
    assert set(after) == {*before, "-15.h5"} and all(after[name] == before[name] for name in before)
    assert set(toy(**{"perturbations.gain.grid": [-20, 5]})) == {"-20.h5", "5.h5"}
    capsys.readouterr()
    assert toy() == before and "embed toy: computed 0 of 4 values" in capsys.readouterr().out


def test_clips_that_are_added_cost_themselves(toy, request, capsys):
    (plugin,) = (p for p in request.config.pluginmanager.get_plugins() if hasattr(p, "write_corpus"))
    toy()
    plugin.write_corpus(np.random.default_rng(440), clips=9)  # the first seven are those of before
    capsys.readouterr()
    grown = toy()
    assert re.search(r"computed 4 of 4 values .*; 28 vectors of clips that were here before", capsys.readouterr().out)
    forget()
    assert toy() == grown and "were here before" not in capsys.readouterr().out


def test_another_option_of_the_encoder_recomputes(toy, capsys):
    toy()
    toy(**{"encoders.toy": {"class": "toys:Toy", "bands": 3, "delay": 0}})
    assert "embed toy: computed 4 of 4" in capsys.readouterr().out
    toy()
    assert "embed toy: computed 0 of 4" in capsys.readouterr().out


def test_a_perturbation_more_costs_itself_and_leaves_with_its_vectors(toy, capsys):
    toy()
    reverb = {"perturbation": "reverb", "perturbations.reverb.grid": [0.5, 1.0]}
    toy(**reverb, **{"run.perturbations": ["gain", "reverb"]})
    assert "embed toy: computed 2 of 6 values (reverb/0.5, reverb/1;" in capsys.readouterr().out
    toy()
    assert {path.name for path in paths.embeddings("toy").iterdir()} == {"original.h5", "gain", "index.json"}


def test_short_clips_are_named(toy, capsys):
    toy()
    printed = capsys.readouterr().out
    assert "4 of 7 clips are shorter than the encoder's window of 0.9 s (shortest: clip0, 0.68 s)" in printed


@pytest.mark.parametrize(
    "name, message",
    [("Wide", r"shape \(1, 4\) for 1 clips; with dim = 3"), ("Broken", "NaN or infinity for clip clip0")],
)
def test_an_encoder_that_breaks_its_word(toy, name, message):
    with pytest.raises(UserError, match=message):
        toy(name)


@pytest.mark.skipif(os.name == "nt", reason="kills processes the POSIX way")
@pytest.mark.parametrize("workers", [1, 2])
def test_kill_and_resume(toy, workers):
    """kill -9 in the middle: whole values stay, the next run computes the others, and the bytes are the same."""
    undisturbed = toy(delay=0.08)
    folder = paths.embeddings("toy", "gain")
    forget()
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("workers: 1", f"workers: {workers}"))
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.getcwd()])}
    process = subprocess.Popen([sys.executable, "-m", "stages.embed", "toy"], env=environment, start_new_session=True)
    deadline = time.monotonic() + 600
    while not list(folder.glob("*.h5")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {p.name: p.stat().st_mtime_ns for p in folder.glob("[!.]*.h5")}
    assert 0 < len(finished) < len(GRID)
    assert toy(delay=0.08) == undisturbed
    assert all((folder / name).stat().st_mtime_ns == stamp for name, stamp in finished.items())
    _wait_for_orphans(process.pid)


def _wait_for_orphans(group):
    """Workers notice that their parent is gone and leave."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("worker processes outlived their parent")
