"""The loop: killed and gone on, stopped early, diverged, always with the same or the best weights."""

import dataclasses

import numpy as np
import pytest
import torch

from earshift.errors import UserError
from earshift.training import loop
from earshift.training.options import Schedule
from earshift.training.records import DIVERGED, EARLY, FINISHED

SCHEDULE = Schedule(
    epochs=6, patience=None, learning_rate=0.05, final_learning_rate=0.005, weight_decay=0.0, amsgrad=True, seed=3,
    threads=1, mixed_precision=False,
)  # fmt: skip
X = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32))
Y = X @ torch.arange(5.0) + 1


def network():
    loop.seed_torch(7)
    return torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Dropout(0.3), torch.nn.ReLU(), torch.nn.Linear(8, 1))


def batches(part, rng):
    places = rng.permutation(30) if part == "train" else np.arange(30, 40)
    return [(X[some], Y[some]) for some in np.array_split(places, 3)]


def loss(made, batch):
    x, y = batch
    return (made(x)[:, 0] - y).square().mean(), len(x)


@pytest.fixture
def checkpoint(tmp_path):
    return loop.Checkpoint(tmp_path / "checkpoint.pt", "f" * 64)


def fit(schedule=SCHEDULE, *, batches=batches, loss=loss, checkpoint=None):
    made = network()
    outcome = loop.fit(made, batches, loss, schedule, checkpoint=checkpoint)
    return outcome, {name: tensor.numpy().copy() for name, tensor in made.state_dict().items()}


def equal(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


class Killed(Exception):
    pass


def killing(at):
    """A loss that kills the run at its n-th call."""
    calls = []

    def killer(made, batch):
        calls.append(1)
        if len(calls) == at:
            raise Killed
        return loss(made, batch)

    return killer


def test_it_learns_and_takes_the_best_epoch():
    seen = []
    outcome = loop.fit(network(), batches, loss, SCHEDULE, advance=seen.append)
    losses = [row["validation_loss"] for row in outcome.history]
    assert losses[-1] < losses[0] and outcome.best == 1 + int(np.argmin(losses)) and outcome.ended == FINISHED
    rates = [row["learning_rate"] for row in outcome.history]
    np.testing.assert_allclose(rates, np.geomspace(0.05, 0.005, 6))
    assert sum(seen) == 6 * 30


@pytest.mark.parametrize("at", [2, 9, 20])
def test_a_killed_run_goes_on_to_the_same_weights(checkpoint, at):
    outcome, weights = fit()
    with pytest.raises(Killed):
        fit(loss=killing(at), checkpoint=checkpoint)
    assert checkpoint.epochs() == at // 6  # three batches to train on and three to validate on in every epoch
    again, found = fit(checkpoint=checkpoint)
    assert equal(found, weights) and again.history == outcome.history


def test_a_checkpoint_of_another_network_is_not_taken(checkpoint):
    fit(checkpoint=checkpoint)
    assert checkpoint.epochs() == 6 and loop.Checkpoint(checkpoint.path, "other").epochs() == 0


def test_a_damaged_checkpoint_costs_time_only(checkpoint, capsys):
    _, weights = fit(checkpoint=checkpoint)
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:200])
    _, found = fit(checkpoint=checkpoint)
    assert equal(found, weights) and "cannot be read" in capsys.readouterr().out


def test_it_stops_early():
    def worse(made, batch):  # validation never gets better
        value, examples = loss(made, batch)
        return (value, examples) if made.training else (value * 0 + 1, examples)

    outcome, _ = fit(dataclasses.replace(SCHEDULE, patience=2), loss=worse)
    assert outcome.ended == EARLY and outcome.best == 1 and len(outcome.history) == 3


def test_divergence_keeps_the_last_good_weights():
    calls = []

    def exploding(made, batch):
        calls.append(1)
        value, examples = loss(made, batch)
        return (value * float("nan") if len(calls) > 14 else value), examples

    outcome, weights = fit(loss=exploding)
    assert outcome.ended == DIVERGED and all(np.isfinite(a).all() for a in weights.values())
    assert len(outcome.history) == 2


def test_divergence_at_once_is_an_error():
    with pytest.raises(UserError, match="training: the loss is not finite.*lower the learning rate"):
        fit(loss=lambda made, batch: (loss(made, batch)[0] * float("nan"), 1))
