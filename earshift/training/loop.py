"""The training loop: the same weights whether it ran through or was killed and went on.

Conventions
-----------
Epochs are numbered from 1, and all that is random in one follows from the seed and its number. After every epoch a
checkpoint is written, whole or not at all: weights, the optimiser's state, the best weights so far and the history. A
run that finds one goes on behind it. The best weights are those with the lowest loss on the validation clips; they are
what comes out. On a CPU the number of threads is an option, so results do not depend on the machine's cores.

Imports torch: import this module inside functions.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import nn

from earshift.corpora.split import TRAIN, VALID
from earshift.errors import UserError
from earshift.protocols import Advance, ignore
from earshift.storage.files import replacing
from earshift.training.options import Schedule
from earshift.training.records import DIVERGED, EARLY, FINISHED, Epoch, Outcome

N = TypeVar("N", bound=nn.Module)
B = TypeVar("B")
Batches = Callable[[str, np.random.Generator], Iterable[B]]
Loss = Callable[[N, B], tuple[torch.Tensor, int]]


@dataclass(frozen=True)
class Checkpoint:
    """Where a training keeps what it needs to go on after it was killed.

    path : file, written whole or not at all
    key : str, hash of all that determines the network: what the training of another one left is not taken
    """

    path: Path
    key: str

    def epochs(self) -> int:
        """How many epochs are finished."""
        return len(self.read("cpu").get("history", []))

    def read(self, device: str) -> dict[str, Any]:
        """What a killed run left, on `device`; nothing where there is none. One that cannot be read is removed."""
        try:
            state = torch.load(self.path, map_location=device, weights_only=True)
        except FileNotFoundError:
            return {}
        except Exception as error:  # whatever is wrong with it: it costs time, not results
            print(f"{self.path} cannot be read ({type(error).__name__}); training starts from the beginning")
            self.remove()
            return {}
        return state if state.get("fingerprint") == self.key else {}

    def write(self, **state: object) -> None:
        """Keep the state after an epoch."""
        with replacing(self.path) as temporary:
            torch.save({"fingerprint": self.key, **state}, temporary)

    def remove(self) -> None:
        """Remove it, once the result is safe."""
        self.path.unlink(missing_ok=True)


def seed_torch(seed: int, *numbers: int) -> np.random.Generator:
    """A generator of random numbers that belongs to these numbers alone; torch is seeded from it too."""
    rng = np.random.default_rng([seed, *numbers])
    torch.manual_seed(int(rng.integers(2**62)))
    return rng


def count_parameters(module: nn.Module) -> int:
    """How many numbers a module learns."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def fit(
    network: N,
    batches: Batches[B],
    loss: Loss[N, B],
    schedule: Schedule,
    *,
    device: str = "cpu",
    label: str = "training",
    checkpoint: Checkpoint | None = None,
    advance: Advance = ignore,
) -> Outcome:
    """Train a network and leave the best weights in it.

    Parameters
    ----------
    network : torch.nn.Module, on `device`
    batches : callable
        ("train" or "valid", numpy Generator) -> iterable of batches, on `device`; of "valid" always the same ones
    loss : callable
        (network, batch) -> (0-d tensor to descend on, int, how many examples it is the mean over)
    schedule : Schedule
    device : "cpu", "cuda" or "cuda:N"
    label : str, what is trained
    checkpoint : Checkpoint or None, to go on from and to keep
    advance : called with how many examples were seen

    Raises
    ------
    UserError
        If it diverges before a single epoch was good.
    """
    with limit_threads(schedule.threads):
        optimiser = torch.optim.Adam(
            network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay,
            amsgrad=schedule.amsgrad,
        )  # fmt: skip
        history: list[Epoch] = []
        best: dict[str, Any] = {"epoch": 0, "loss": math.inf, "weights": None}
        ended: Literal["stopped early", "diverged"] | None = None
        if checkpoint and (state := checkpoint.read(device)):
            network.load_state_dict(state["network"])
            optimiser.load_state_dict(state["optimiser"])
            history, best, ended = state["history"], state["best"], state["ended"]
        while ended is None and len(history) < schedule.epochs:
            row = _train_epoch(network, batches, loss, optimiser, schedule, len(history) + 1, device, advance)
            if not (math.isfinite(row["training_loss"]) and math.isfinite(row["validation_loss"])):
                ended = DIVERGED
                break
            history.append(row)
            if not best["epoch"] or row["validation_loss"] < best["loss"]:
                weights = {name: tensor.cpu().clone() for name, tensor in network.state_dict().items()}
                best = {"epoch": row["epoch"], "loss": row["validation_loss"], "weights": weights}
            if schedule.patience is not None and row["epoch"] - best["epoch"] >= schedule.patience:
                ended = EARLY
            if checkpoint:
                checkpoint.write(network=network.state_dict(), optimiser=optimiser.state_dict(), history=history,
                                 best=best, ended=ended)  # fmt: skip
    if not best["epoch"]:
        raise UserError(
            f"{label}: the loss is not finite in the first epoch; lower the learning rate "
            f"({schedule.learning_rate:g}), or look for broken audio"
        )
    network.load_state_dict(best["weights"])
    return Outcome(history, best["epoch"], ended or FINISHED)


def _train_epoch(
    network: N,
    batches: Batches[B],
    loss: Loss[N, B],
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    epoch: int,
    device: str,
    advance: Advance,
) -> Epoch:
    rng, rate = seed_torch(schedule.seed, 2, epoch), schedule.rate(epoch)
    for group in optimiser.param_groups:
        group["lr"] = rate
    network.train()
    total, count = 0.0, 0
    for batch in batches(TRAIN, rng):
        with torch.autocast("cuda", torch.bfloat16, enabled=schedule.mixed_precision and device != "cpu"):
            value, examples = loss(network, batch)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
        total, count = total + float(value.detach()) * examples, count + examples
        advance(examples)
        if not math.isfinite(total):
            break
    return {
        "epoch": epoch,
        "training_loss": total / max(count, 1),
        "validation_loss": mean_loss(network, batches(VALID, seed_torch(schedule.seed, 3)), loss),
        "learning_rate": rate,
    }


def mean_loss(network: N, batches: Iterable[B], loss: Loss[N, B]) -> float:
    """Mean of a loss over all examples of some batches, without a trace in the network."""
    network.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for batch in batches:
            value, examples = loss(network, batch)
            total, count = total + float(value) * examples, count + examples
    return total / max(count, 1)


@contextlib.contextmanager
def limit_threads(count: int) -> Iterator[None]:
    """So many threads of a CPU: the same run gives the same bits. A GPU takes its deterministic algorithms where it has
    some; the gradients of mirrored edges and of unpooling have none there."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with torch.backends.cudnn.flags(benchmark=False, deterministic=True):
            yield
    finally:
        torch.set_num_threads(before)
