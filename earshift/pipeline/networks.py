"""Networks that are trained here: kept while what determines them holds, gone on with where a training was killed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import pandas as pd

from earshift.pipeline import paths
from earshift.pipeline.config import Config
from earshift.pipeline.progress import Progress
from earshift.pipeline.training_data import TrainingCorpus
from earshift.protocols import Advance
from earshift.storage.files import write_table
from earshift.storage.hashes import digest
from earshift.training.arrays import write_arrays
from earshift.training.data import TrainingData
from earshift.training.evaluation import Evaluator
from earshift.training.loop import Checkpoint
from earshift.training.records import DIVERGED, NetworkRecord, TrainedNetwork


@dataclass(frozen=True)
class Evaluation:
    """A network that was trained here, ready to be scored.

    metric : what its score is, such as "auc"
    better : which scores are better
    corpus, rows : the test clips
    """

    metric: Literal["mse", "auc", "accuracy", "sdr", "map"]
    better: Literal["lower", "higher"]
    evaluator: Evaluator
    corpus: TrainingCorpus
    rows: list[int]


class Trainer(Protocol):
    """Trains and evaluates the networks of one study."""

    def train(
        self, config: Config, name: str, task: str, folder: Path, record: Mapping[str, Any] | None
    ) -> NetworkRecord:
        """Bring the network of one task up to date.

        Parameters
        ----------
        config : Config
        name : str, encoder
        task : str, one of the encoder's
        folder : data/models/ENCODER
        record : what an earlier run returned, None where there was none

        Raises
        ------
        UserError
            If the data do not suffice, or training diverges at once.
        """

    def open(self, config: Config, name: str, task: str, record: NetworkRecord) -> Evaluation:
        """The trained network of a task, of which `record` says what it is."""


def reuse(path: Path, record: Mapping[str, Any] | None, key: str, label: str) -> NetworkRecord | None:
    """The record of a network if its fingerprint is `key` and `path` holds its arrays, else None."""
    if record and record.get("fingerprint") == key and path.is_file() and digest(path) == record["sha256"]:
        print(f"{label}: reused, {record['epochs']} epochs")
        return cast(NetworkRecord, record)
    return None


def train_network(
    path: Path,
    key: str,
    train: Callable[[Checkpoint, Advance], TrainedNetwork],
    *,
    label: str,
    data: TrainingData,
    outputs: list[str],
    epochs: int,
    examples: int,
) -> NetworkRecord:
    """Train a network and keep its arrays.

    Its checkpoint, paths.checkpoint(key), stays: remove it when the record is written.

    Parameters
    ----------
    path : of its arrays; losses by epoch lie beside it as .csv
    key : hash of all that determines it
    train : trains it
    label : of the progress bar
    data, outputs : what it is trained on, names of its classes or tags
    epochs : at most
    examples : of an epoch
    """
    checkpoint = Checkpoint(paths.checkpoint(key), key)
    done = checkpoint.epochs()
    if done:
        print(f"{label}: going on after epoch {done}")
    with Progress(label, epochs * examples, done * examples, unit="examples") as progress:
        trained = train(checkpoint, progress.advance)
    outcome = trained.outcome
    speed = f", {progress.rate:.0f} examples/s" if progress.done else ""
    lowest = outcome.history[outcome.best - 1]["validation_loss"]
    print(f"{label}: {outcome.ended} after {len(outcome.history)} epochs, best {outcome.best}, validation loss "
          f"{lowest:.4g}, {trained.parameters:,} parameters{speed}")  # fmt: skip
    if outcome.ended == DIVERGED:
        print(f"{label}: the loss of epoch {len(outcome.history) + 1} was not finite; the weights of epoch "
              f"{outcome.best} stay")  # fmt: skip
    write_arrays(path, trained.arrays)
    write_table(path.with_suffix(".csv"), pd.DataFrame(outcome.history))
    about = {
        "fingerprint": key,
        "outputs": outputs,
        "clips": data.counts(),
        "parameters": trained.parameters,
        "epochs": len(outcome.history),
        "best": outcome.best,
        "ended": outcome.ended,
        "baseline": trained.baseline,
        "sha256": digest(path),
        **trained.scores,
    }
    return cast(NetworkRecord, about)
