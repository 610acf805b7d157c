"""A network is trained once, goes on where a training was killed, and says how it ended."""

import numpy as np
import pandas as pd
import pytest

from earshift.pipeline import paths
from earshift.pipeline.networks import reuse, train_network
from earshift.training.data import TrainingData
from earshift.training.records import Outcome, TrainedNetwork

DATA = TrainingData(pd.DataFrame(), None, np.array(["train", "train", "valid", "test", ""]), "")
HISTORY = [
    {"epoch": n, "training_loss": 1.0, "validation_loss": loss, "learning_rate": 0.1}
    for n, loss in ((1, 0.5), (2, 0.25))
]


def train(ended="finished"):
    def trained(checkpoint, advance):
        advance(4)
        checkpoint.write(history=HISTORY[:1])
        return TrainedNetwork({"a": np.arange(3)}, Outcome(HISTORY, 2, ended), 3, 0.5, {"map": 0.75})

    path = paths.MODELS / "e" / "t.npz"
    return train_network(path, "k" * 64, trained, label="train e t", data=DATA, outputs=["x"], epochs=2, examples=2)


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


def test_only_what_is_whole_and_has_the_fingerprint_is_reused(workspace):
    record, path = train(), paths.MODELS / "e" / "t.npz"
    assert reuse(path, record, "k" * 64, "") == record
    assert reuse(path, record, "other", "") is None and reuse(path, None, "k" * 64, "") is None
    path.write_bytes(b"damaged")
    assert reuse(path, record, "k" * 64, "") is None
