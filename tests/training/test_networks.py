"""A network is trained once, goes on where a training was killed, and says how it ended."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from earshift.pipeline import paths
from earshift.pipeline.networks import keep_networks, obtain_network, place_network, train_network
from earshift.pipeline.train import RECORD
from earshift.storage.files import write_json
from earshift.training.arrays import read_arrays
from earshift.training.data import TrainingData
from earshift.training.records import Outcome, TrainedNetwork

DATA = TrainingData(pd.DataFrame(), None, np.array(["train", "train", "valid", "test", ""]), "")
HISTORY = [
    {"epoch": n, "training_loss": 1.0, "validation_loss": loss, "learning_rate": 0.1}
    for n, loss in ((1, 0.5), (2, 0.25))
]


KEY, FOLDER = "a" * 64, paths.MODELS / "e"


def train(ended="finished", path=FOLDER / "t.npz"):
    def trained(checkpoint, advance):
        advance(4)
        checkpoint.write(history=HISTORY[:1])
        return TrainedNetwork({"a": np.arange(3)}, Outcome(HISTORY, 2, ended), 3, 0.5, {"map": 0.75})

    return train_network(path, KEY, trained, label="train e t", data=DATA, outputs=["x"], epochs=2, examples=2)


def test_the_record_says_what_was_trained(workspace, capsys):
    record = train()
    assert record["clips"] == {"train": 2, "valid": 1, "test": 1} and record["map"] == 0.75
    assert (record["epochs"], record["best"], record["parameters"], record["outputs"]) == (2, 2, 3, ["x"])
    assert pd.read_csv(paths.MODELS / "e" / "t.csv")["validation_loss"].tolist() == [0.5, 0.25]
    out = capsys.readouterr().out
    assert "finished after 2 epochs, best 2, validation loss 0.25, 3 parameters" in out and "going on" not in out


@pytest.mark.parametrize("ended, said", [("finished", False), ("diverged", True)])
def test_it_goes_on_and_says_where_it_diverged(workspace, capsys, ended, said):
    train()
    train(ended)
    out = capsys.readouterr().out
    assert "going on after epoch 1" in out
    assert ("the loss of epoch 3 was not finite; the weights of epoch 2 stay" in out) == said


@pytest.fixture
def obtain(workspace):
    """Obtain the network of a key: path of its arrays, what is known about it, and whether it was trained now."""

    def obtained(key=KEY):
        trained = []
        found = obtain_network(key, "train e t", lambda path: trained.append(path) or train(path=path))
        return *found, bool(trained)

    return obtained


def test_only_what_is_whole_and_has_the_key_is_reused(obtain, capsys):
    path, record, trained = obtain()
    assert trained and record["fingerprint"] == KEY and not paths.checkpoint(KEY).exists()
    np.testing.assert_array_equal(read_arrays(path)["a"], np.arange(3))
    assert obtain() == (path, record, False) and "train e t: reused, 2 epochs" in capsys.readouterr().out
    assert obtain("b" * 64)[2]
    path.write_bytes(b"damaged")
    again, record_again, trained = obtain()
    assert trained and (again, record_again) == (path, record) and "is damaged" in capsys.readouterr().out
    np.testing.assert_array_equal(read_arrays(path)["a"], np.arange(3))


def test_a_training_that_fails_leaves_its_checkpoint_and_nothing_else(workspace):
    def failing(path):
        train(path=path)
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError):
        obtain_network(KEY, "train e t", failing)
    assert paths.checkpoint(KEY).is_file()
    assert [path for path in paths.STORE.rglob("*") if path.is_file()] == []


def test_networks_in_a_folder_are_kept_if_they_are_what_the_record_says(obtain):
    _, record, _ = obtain()
    place_network(KEY, FOLDER, "t")
    assert {path.name for path in FOLDER.iterdir()} == {"t.npz", "t.csv"}
    write_json(FOLDER / RECORD, {"encoder": "e", "tasks": {"t": record}})
    shutil.rmtree(paths.STORE)
    keep_networks(FOLDER)
    path, kept, trained = obtain()
    assert not trained and json.dumps(kept) == json.dumps(record)
    assert path.read_bytes() == (FOLDER / "t.npz").read_bytes()
    shutil.rmtree(paths.STORE)
    (FOLDER / "t.npz").write_bytes(b"of another training")
    keep_networks(FOLDER)
    assert obtain()[2]
