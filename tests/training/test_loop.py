"""The loop: killed and gone on, stopped early, diverged, always with the same or the best weights."""

import dataclasses

import numpy as np
import pytest
import torch

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.training import loop

SCHEDULE = loop.Schedule(
    epochs=6, patience=None, learning_rate=0.05, final_learning_rate=0.005, weight_decay=0.0, amsgrad=True, seed=3,
    threads=1, mixed_precision=False,
)  # fmt: skip
X = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32))
Y = X @ torch.arange(5.0) + 1


def network():
    loop.seeded(7)
    return torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Dropout(0.3), torch.nn.ReLU(), torch.nn.Linear(8, 1))


def batches(part, rng):
    places = rng.permutation(30) if part == "train" else np.arange(30, 40)
    return [(X[some], Y[some]) for some in np.array_split(places, 3)]


def loss(made, batch):
    x, y = batch
    return (made(x)[:, 0] - y).square().mean(), len(x)


def fitted(schedule=SCHEDULE, *, batches=batches, loss=loss):
    made = network()
    outcome = loop.fit(made, batches, loss, schedule, fingerprint="f" * 64, device="cpu", label="t", examples=30)
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


def test_it_learns_and_takes_the_best_epoch(workspace):
    outcome, _ = fitted()
    losses = [row["validation_loss"] for row in outcome.history]
    assert losses[-1] < losses[0] and outcome.best == 1 + int(np.argmin(losses)) and outcome.ended == loop.FINISHED
    rates = [row["learning_rate"] for row in outcome.history]
    np.testing.assert_allclose(rates, np.geomspace(0.05, 0.005, 6))


@pytest.mark.parametrize("at", [2, 9, 20])
def test_a_killed_run_goes_on_to_the_same_weights(workspace, at, capsys):
    outcome, weights = fitted()
    paths.checkpoint("f" * 64).unlink()
    with pytest.raises(Killed):
        fitted(loss=killing(at))
    again, found = fitted()
    assert equal(found, weights) and again.history == outcome.history
    assert ("going on after epoch" in capsys.readouterr().out) == (at > 6)


def test_a_damaged_checkpoint_costs_time_only(workspace, capsys):
    _, weights = fitted()
    path = paths.checkpoint("f" * 64)
    path.write_bytes(path.read_bytes()[:200])
    _, found = fitted()
    assert equal(found, weights) and "cannot be read" in capsys.readouterr().out


def test_it_stops_early(workspace):
    def worse(made, batch):  # validation never gets better
        value, examples = loss(made, batch)
        return (value, examples) if made.training else (value * 0 + 1, examples)

    outcome, _ = fitted(dataclasses.replace(SCHEDULE, patience=2), loss=worse)
    assert outcome.ended == loop.EARLY and outcome.best == 1 and len(outcome.history) == 3


def test_divergence_keeps_the_last_good_weights_and_says_so(workspace, capsys):
    calls = []

    def exploding(made, batch):
        calls.append(1)
        value, examples = loss(made, batch)
        return (value * float("nan") if len(calls) > 14 else value), examples

    outcome, weights = fitted(loss=exploding)
    assert outcome.ended == loop.DIVERGED and all(np.isfinite(a).all() for a in weights.values())
    assert "was not finite" in capsys.readouterr().out and len(outcome.history) == 2


def test_divergence_at_once_is_an_error(workspace):
    with pytest.raises(UserError, match="lower the learning rate"):
        fitted(loss=lambda made, batch: (loss(made, batch)[0] * float("nan"), 1))
