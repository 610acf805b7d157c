import re

import numpy as np
import pytest

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.trajectories import read_trajectories
from earshift.storage.clips import read_clips
from earshift.storage.files import write_table
from earshift.storage.vectors import Embeddings, read_embeddings, write_embeddings


@pytest.mark.parametrize(
    "growth, order", [("up", [-40, -4, 0.5, 5]), ("two-sided", [-40, -4, 0.5, 5]), ("down", [5, 0.5, -4, -40])]
)
def test_values_stand_in_order_of_growing_strength(on_disk, rng, growth, order):
    vectors = rng.normal(size=(4, 4, 3)).astype(np.float32)
    on_disk(vectors, [5, -4, -40, 0.5], growth=growth)
    t = read_trajectories("mfcc", "gain")
    assert t.raw.tolist() == order and t.values == tuple(format(v, "g") for v in order)
    assert t.strengths == pytest.approx([0, 1 / 3, 2 / 3, 1])
    for place, value in enumerate(order):
        assert np.array_equal(t.vectors[:, place], vectors[:, [5, -4, -40, 0.5].index(value)])
    assert (t.encoder, t.perturbation, t.unit, t.dim) == ("mfcc", "gain", "dB", 3)
    assert t.vectors.dtype == np.float32 and np.array_equal(t.originals, vectors[:, 0])


def test_strength_stored_when_a_file_was_written_does_not_count(on_disk, rng):
    on_disk(rng.normal(size=(2, 3, 3)), [1, 2, 3], attributes={1: {"strength": 1.0}, 2: {"strength": 0.0}})
    assert read_trajectories("mfcc", "gain").values == ("1", "2", "3")


def test_a_clip_counts_where_it_is_valid_throughout(on_disk, rng):
    vectors = rng.normal(size=(7, 2, 3)).astype(np.float32)
    splits = ["train", "test", "train", "unused", "train", "test", "train"]
    clips = on_disk(vectors, [1, 2], splits=splits, valid=[True, True, False, True, True, True, True])
    for path, bad in ((paths.originals("mfcc"), 4), (paths.embeddings("mfcc", "gain") / "2.h5", 5)):
        old = read_embeddings(path)
        features, valid = old.features.copy(), old.valid.copy()
        features[bad], valid[bad] = np.nan, False
        write_embeddings(path, Embeddings(features, old.clip, valid, old.attributes))
    t = read_trajectories("mfcc", "gain")
    assert t.clip.tolist() == ["clip0", "clip1", "clip6"]
    assert t.split.tolist() == ["train", "test", "train"] and t.invalid == 3
    assert t.group.tolist() == [clips["group"][i] for i in (0, 1, 6)]
    assert np.array_equal(t.vectors, vectors[[0, 1, 6]]) and np.array_equal(t.originals, vectors[[0, 1, 6], 0])
    assert t.indices("train").tolist() == [0, 2] and t.indices("test", "cello").tolist() == [1]


@pytest.mark.parametrize("growth", ["up", "down"])
def test_vectors_that_stay_in_their_files_are_the_same(on_disk, rng, growth):
    splits = ["train", "unused", "test", "train", "train"]
    on_disk(rng.normal(size=(5, 3, 4)), [3, 1, 2], growth=growth, splits=splits, valid=[True, True, True, False, True])
    eager, lazy = read_trajectories("mfcc", "gain"), read_trajectories("mfcc", "gain", lazily=True)
    assert (lazy.vectors.shape, lazy.originals.shape, lazy.dim) == ((3, 3, 4), (3, 4), 4)
    assert len(lazy.vectors) == len(lazy.originals) == 3
    assert lazy.vectors.dtype == lazy.originals.dtype == np.float32
    for which in (slice(None), slice(1, 2), [2, 0], lazy.split == "train", []):
        np.testing.assert_array_equal(lazy.vectors[which], eager.vectors[np.arange(3)[which]])
        np.testing.assert_array_equal(lazy.originals[which], eager.originals[np.arange(3)[which]])


@pytest.mark.parametrize(
    "labels, expected",
    [(["", "", ""], ["all"] * 3), (["flute", "", "cello"], ["flute", "unlabelled", "cello"])],
)
def test_clips_without_labels(on_disk, rng, labels, expected):
    on_disk(rng.normal(size=(3, 2, 3)), [1, 2], labels=labels)
    t = read_trajectories("mfcc", "gain")
    assert t.instrument.tolist() == expected and t.instruments == sorted(set(expected))


def broken(name):
    """What goes wrong, by test name: a function of the table of clips that spoils the files."""
    folder = paths.embeddings("mfcc", "gain")

    def rewrite(path, **changes):
        old = read_embeddings(path)
        fields = {"features": old.features, "clip": old.clip, "valid": old.valid, "attributes": old.attributes}
        write_embeddings(path, Embeddings(**{**fields, **changes}))

    if name == "no folder":
        for path in folder.iterdir():
            path.unlink()
    elif name == "one value":
        (folder / "2.h5").unlink()
    elif name == "no original":
        paths.originals("mfcc").unlink()
    elif name == "no clips":
        paths.CLIPS.unlink()
    elif name == "other clips":
        rewrite(folder / "2.h5", clip=["clip0", "clip2", "clip1"])
    elif name == "other length":
        rewrite(folder / "2.h5", features=np.zeros((3, 5)))
    elif name == "other growth":
        rewrite(folder / "2.h5", attributes={"value": "2", "growth": "down"})
    elif name == "no growth":
        rewrite(folder / "1.h5", attributes={"value": "1"})
    elif name == "a copy":
        (folder / "2.h5").rename(folder / "3.h5")
    elif name == "a stranger":
        (folder / "notes.h5").write_bytes(b"")
    elif name == "not HDF5":
        (folder / "2.h5").write_bytes(b"rubbish")
    elif name == "NaN":
        rewrite(folder / "2.h5", features=np.array([[0, 0, 0], [0, np.nan, 0], [0, 0, np.inf]]))
    elif name == "no training clips":
        table = read_clips(paths.CLIPS)
        table["split"] = "test"
        write_table(paths.CLIPS, table)


@pytest.mark.parametrize(
    "name, message",
    [
        ("no folder", r"data/embeddings/mfcc/gain holds no embeddings; `dvc repro embed@mfcc`"),
        ("one value", r"holds one value, 1\.h5; a trajectory needs at least two, see perturbations\.gain\.grid"),
        ("no original", r"data/embeddings/mfcc/original\.h5 is missing; `dvc repro`"),
        ("no clips", r"data/corpus/clips\.csv is missing"),
        ("other clips", r"gain/2\.h5 holds 3 clips that are not the 3 of data/corpus/clips\.csv.*`dvc repro`"),
        ("other length", r"gain/2\.h5 holds vectors of length 5, value 2 .*; its original has length 4"),
        ("other growth", r"gain/2\.h5 .* growth down; .* other values have growth up"),
        ("no growth", r"gain/1\.h5 .* growth None"),
        ("a copy", r"gain/3\.h5 .* value 2 "),
        ("a stranger", r"holds a file whose name is not a value .*notes"),
        ("not HDF5", r"gain/2\.h5 is damaged"),
        ("NaN", r"gain/2\.h5 holds NaN or infinite numbers for 2 valid clips, the first is clip1; the encoder must"),
        ("no training clips", r"no clip of the training set is valid for mfcc under gain: of 3 clips"),
    ],
)
def test_bad_files_are_named(on_disk, rng, name, message):
    on_disk(rng.normal(size=(3, 2, 3 if name == "NaN" else 4)), [1, 2])
    read_trajectories("mfcc", "gain")
    broken(name)
    with pytest.raises(UserError) as error:
        read_trajectories("mfcc", "gain")
    assert re.search(message, str(error.value)) and "\n" not in str(error.value)
