"""A file that was damaged is noticed, named, and brought back alone, with the same bytes.

It is taken from the store. Where it is the same file there, it is damaged there too, and made again.
"""

import os
import shutil

import numpy as np
import pytest
import soundfile
from disturbed import cut, flipped, forget, outputs, start, target

from earshift.encoders.weights import record as weights
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.pipeline.corpus import build
from earshift.storage.distances import read_distances
from earshift.storage.vectors import read_embeddings


def kept(value):
    (path,) = (paths.AUDIO / "gain").glob(f"{value}-*.h5")
    return path


def alone(path):
    """Make a file one of its own that was a link to the same file in the store."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [flipped, cut])
@pytest.mark.parametrize("stored", [True, False], ids=["the store has it", "damaged in the store too"])
def test_each_stage_brings_back_what_is_damaged_and_nothing_else(bench, capsys, damage, stored):
    pipeline = bench()
    undisturbed = pipeline.run()
    files = {
        ("perturb gain", "3 values", "-10"): paths.perturbed("gain") / "-10.json",
        ("embed toy", "4 values", "gain/-10"): target("-10"),
        ("distances", "4 values", "gain/-10"): paths.distances("gain", "-10"),
    }
    for (label, of, name), path in files.items():
        for where in (0, 0.3, 0.97):
            if stored:
                alone(path)
            before = {p: p.stat().st_mtime_ns for p in path.parent.glob("[!.]*.h5") if p != path}
            damage(path, where)
            capsys.readouterr()
            assert pipeline.run() == undisturbed, (path, where)
            printed = capsys.readouterr().out
            assert f"{path} is damaged, its checksum does not hold; it is made again" in printed
            assert (f"{label}: computed 1 of {of} ({name};" in printed) != stored, (path, where)
            assert [printed.count(f"computed 0 of {n} values, reused {n}") for n in (3, 4)] == [
                1 if stored or of != "3 values" else 0, 2 if stored or of != "4 values" else 1
            ]  # fmt: skip
            assert all(p.stat().st_mtime_ns == stamp for p, stamp in before.items())


@pytest.mark.parametrize("damage", [flipped, cut])
def test_kept_audio_that_is_damaged_is_made_again_with_its_recipe(bench, capsys, damage):
    pipeline = bench()
    undisturbed = pipeline.run()
    for where in (0, 0.3, 0.97):
        before = {p: p.stat().st_mtime_ns for p in (paths.AUDIO / "gain").glob("*.h5") if p != kept("-10")}
        damage(kept("-10"), where)
        capsys.readouterr()
        assert pipeline.run() == undisturbed, where
        printed = capsys.readouterr().out
        assert "perturb gain: computed 1 of 3 values (-10;" in printed
        assert f"{kept('-10')} is damaged, its checksum does not hold; it is made again" in printed
        assert printed.count("computed 0 of 4 values, reused 4") == 2
        assert all(p.stat().st_mtime_ns == stamp for p, stamp in before.items())


@pytest.mark.parametrize("damage", [flipped, cut])
def test_nothing_is_computed_where_only_the_store_is_damaged(bench, capsys, damage):
    """What lies in an output is read there; what does not is not restored from a file that is damaged."""
    pipeline = bench()
    undisturbed = pipeline.run()
    alone(target("-10"))
    (stored,) = [path for path in paths.STORE.glob("objects/*/*/0") if path.read_bytes() == target("-10").read_bytes()]
    damage(stored, 0.5)
    capsys.readouterr()
    assert pipeline.run() == undisturbed
    assert "computed 1" not in capsys.readouterr().out
    target("-10").unlink()
    assert pipeline.run() == undisturbed
    printed = capsys.readouterr().out
    assert f"{stored} is damaged, its checksum does not hold; it is made again" in printed
    assert "embed toy: computed 1 of 4 values (gain/-10;" in printed


def test_an_analysis_names_what_is_damaged(bench):
    bench().run()
    flipped(target("-10"), 0.5)
    with pytest.raises(UserError, match=r"gain/-10.h5 is damaged, its checksum .*; delete it and run `dvc repro`"):
        read_embeddings(target("-10"))
    flipped(paths.distances("gain", "5"), 0.5)
    with pytest.raises(UserError, match=r"gain/5.h5 is damaged, its checksum .*; delete it and run `dvc repro`"):
        read_distances(paths.distances("gain", "5"))


@pytest.mark.parametrize("damage", [flipped, cut])
def test_kept_audio_that_is_damaged_is_made_again_where_it_is_needed(bench, capsys, damage):
    pipeline = bench()
    undisturbed = pipeline.run()
    target("-10").unlink()
    forget()
    others = {p: p.stat().st_mtime_ns for p in (paths.AUDIO / "gain").glob("*.h5") if p != kept("-10")}
    damage(kept("-10"), 0.4)
    capsys.readouterr()
    pipeline.embed()
    assert f"{kept('-10')} is damaged, its checksum does not hold; it is made again" in capsys.readouterr().out
    assert outputs() == undisturbed
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in others.items())


@pytest.fixture
def of_files(bench, tmp_path, rng):
    """The pipeline on three audio files, so that its corpus can be packed again."""
    (tmp_path / "audio").mkdir()
    for i in range(3):
        soundfile.write(tmp_path / f"audio/{i}.wav", rng.uniform(-0.5, 0.5, (16000, 1 + i % 2)), 8000)
    return bench({"corpus.name": "folder", "corpus.folder.path": str(tmp_path / "audio"), "perturb.keep_audio": False})


@pytest.mark.parametrize("damage", [flipped, cut])
def test_packed_audio_of_the_corpus(of_files, capsys, damage):
    shutil.rmtree("data")
    build(of_files.params)
    undisturbed = of_files.run()
    audio = corpus_audio_path()
    for where in (0, 0.1, 0.5, 0.99):
        shutil.rmtree("data/embeddings")
        forget()
        damage(audio, where)
        capsys.readouterr()
        of_files.embed()
        assert f"corpus: {audio} is damaged and is packed again" in capsys.readouterr().out
        assert outputs() == undisturbed


def test_audio_that_goes_bad_while_it_is_read(of_files):
    """Not even the time of the file changes, as where a disk loses a bit; the next process makes it again."""
    shutil.rmtree("data")
    build(of_files.params)
    undisturbed = of_files.run()
    audio, stat = corpus_audio_path(), corpus_audio_path().stat()
    flipped(audio, 0.5)
    os.utime(audio, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    shutil.rmtree("data/embeddings")
    forget()
    with pytest.raises(UserError, match="data/audio/corpus/.*h5 is damaged"):
        of_files.embed()  # in this process it was checked before
    process = start("stages.embed", "toy")
    out, err = process.communicate(timeout=1800)
    assert process.returncode == 0 and "is damaged and is packed again" in out, err
    assert outputs() == undisturbed


class Published:
    """Weights that are at hand."""

    licence = description = "none"

    def arrays(self):
        return {"a": np.arange(1000, dtype=np.float32)}, {"official": True, "files": {}}


def test_weights(tmp_path):
    weights.write_weights(tmp_path / "toy", "toy", Published())
    arrays, record = tmp_path / "toy/weights.npz", tmp_path / "toy/weights.json"
    whole = arrays.read_bytes(), record.read_bytes()
    for damage in (flipped, cut):
        for where in (0, 0.5, 0.99):
            damage(arrays, where)
            weights.ensure_weights(tmp_path / "toy", "toy", Published())
            assert arrays.read_bytes() == whole[0]
            stamp = arrays.stat().st_mtime_ns
            damage(arrays, where)
            os.utime(arrays, ns=(stamp, stamp))
            with pytest.raises(UserError, match=r"npz has sha256 .*; run `python -m stages.models toy`"):
                weights.open_weights(tmp_path / "toy")
            weights.write_weights(tmp_path / "toy", "toy", Published())  # which that command does
            assert (arrays.read_bytes(), record.read_bytes()) == whole


def test_recipes_that_are_damaged_are_named(bench):
    pipeline = bench()
    pipeline.perturb()
    flipped(paths.perturbed("gain") / "-20.json", 0.5)
    with pytest.raises(UserError, match=r"gain/-20.json is damaged or of an earlier version; `dvc repro perturb@gain`"):
        pipeline.embed()
