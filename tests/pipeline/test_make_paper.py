"""`make paper` as a user types it, on stand-ins for the official files: fused, materialised, compared.

Everything is what runs on the official files: the archive is read, the split made, weights checked and converted, the
clips perturbed as published, three foundation encoders run. Only the grids are short, windows of OpenL3 few, and most
instruments have too few clips for a classifier.
"""

import os
import shutil

import pytest
from clones import clone_of_the_sources

from benchmarks.mirror import irmas
from benchmarks.mirror.__main__ import write
from earshift.storage.clips import read_clips
from earshift.storage.vectors import read_embeddings

pytestmark = pytest.mark.slow  # minutes for three foundation encoders; their parts are tested in tests/encode

TINY = """
extends: deng2025-rehearsal
corpus:
  split: {balance: false}
run:
  perturbations: [gain, reverb]
perturbations:
  gain: {grid: [-40, 5]}
  reverb: {grid: [0.01, 1.0]}
encoders:
  openl3: {hop: 3}
robustness: {methods: [none, pca], bootstrap: 20}
consistency: {bootstrap: 20}
trajectories: {clips: 2, bootstrap: 20}
"""
CLIPS = {**dict.fromkeys(irmas.CODES, 2), "cel": 5, "org": 5}  # 3 folds of training clips need 3
PAIRS = [(encoder, perturbation) for encoder in ("openl3", "panns", "clap") for perturbation in ("gain", "reverb")]


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirror")
    write(folder, pieces=CLIPS)
    return folder


@pytest.fixture(scope="module")
def paper(tmp_path_factory, mirror):
    """A clone in which `make paper` has run; what it printed is in ``log``."""
    clone = clone_of_the_sources(tmp_path_factory.mktemp("paper"))
    (clone.root / "presets/tiny.yaml").write_text(TINY)
    clone.commit("tiny")
    clone.environment |= {"EARSHIFT_MIRROR": str(mirror), "EARSHIFT_UNPINNED": "1"}
    venv = clone.root / ".venv"  # so that make does not create one
    venv.mkdir()
    (venv / ".earshift").touch()
    clone.log = clone("make", "paper", "PRESET=tiny")
    return clone


def vectors(clone):
    files = sorted(clone.root.glob("data/embeddings/**/*.h5"))
    return {str(path.relative_to(clone.root)): path.read_bytes() for path in files}


def test_it_ends_in_the_published_numbers_beside_ours(paper):
    end = paper.log[paper.log.index("OpenL3, reverb, cello") :]
    for part in ("PANNs, gain, organ", "clap-lowpass-guitar_acc is left out", "Not the study's conditions",
                 "The weights of openl3 are not the official ones", "sample-wise CCA SVD 0.4"):  # fmt: skip
        assert part in end
    panel = paper.json("metrics/published.json")["panels"]["panns-gain-organ"]["methods"]["none"]["orig->effected"]
    assert panel["original_published"] == 0.98614 and panel["points"] == 2 and 0 <= panel["ours"] <= 1
    assert len(list((paper.root / "plots/published").glob("*.png"))) == 2


def test_all_encoders_moved_under_all_effects(paper):
    summary = paper.json("metrics/summary.json")
    assert {(e, p) for e, row in summary.items() for p in row} == set(PAIRS)
    clips = read_clips(paper.root / "data/corpus/clips.csv")
    assert len(clips) == 28 and clips["label"].nunique() == 11 and not clips["genre"].eq("latin_soul").any()
    for encoder, dim in (("openl3", 512), ("panns", 2048), ("clap", 1024)):
        embeddings = read_embeddings(paper.root / f"data/embeddings/{encoder}/gain/-40.h5")
        assert embeddings.features.shape == (28, dim) and embeddings.valid.all()
        assert paper.json(f"data/models/{encoder}/weights.json")["official"] is False


def test_no_audio_of_irmas_is_kept_for_others(paper):
    assert list(paper.root.glob("data/perturbed/*/*.json")) and not list(paper.root.glob("data/audio/*/*-*.h5"))
    excerpts = paper.json("data/excerpts/gain.json")
    assert excerpts["clips"] == [] and "licence" in excerpts["silent"]
    page = (paper.root / "report/index.html").read_text()
    assert "<audio" not in page and excerpts["silent"] in page


def test_materialised_audio_gives_the_same_bits(paper):
    fused = vectors(paper)
    assert len(fused) == 2 * len(PAIRS) + 3
    paper.set({"perturb.keep_audio": True})
    shutil.rmtree(paper.root / "data/embeddings/openl3/reverb")
    shutil.rmtree(paper.root / ".earshift")  # where they are as well
    paper("python", "-m", "stages.perturb", "reverb")
    assert len(list((paper.root / "data/audio/reverb").glob("*.h5"))) == 2
    for audio in paper.root.glob("data/audio/corpus/*.h5"):
        audio.unlink()  # so that what was kept must be read
    assert "computed 2 of 5 values (reverb/" in paper("python", "-m", "stages.embed", "openl3")
    assert vectors(paper) == fused


def test_without_mirror_and_network_it_stops_before_anything_is_computed(tmp_path):
    clone = clone_of_the_sources(tmp_path)
    for name in ("EARSHIFT_MIRROR", "EARSHIFT_UNPINNED"):
        clone.environment.pop(name, None)
    # an address that refuses at once stands for a machine without network
    clone.environment |= {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy")}
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/.earshift").touch()
    log = clone("make", "paper", check=False)
    for part in ("openl3_audio_mel128_music-v0_4_0.h5.gz", "Cnn14_mAP=0.431.pth", "CLAP_weights_2023.pth",
                 "EARSHIFT_MIRROR", "541141fa2ee191a88f24a3219fff024e"):  # fmt: skip
        assert part in log
    assert not os.path.exists(tmp_path / "data/corpus") and "Traceback" not in log
