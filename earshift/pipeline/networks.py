"""Networks that are trained here: kept in the store by their keys, gone on with where a training was killed."""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, cast

import pandas as pd

from earshift.errors import UserError
from earshift.pipeline import artifacts, paths
from earshift.pipeline.config import Config
from earshift.pipeline.progress import Progress
from earshift.pipeline.store import Manifest, link_or_copy
from earshift.pipeline.training_data import TrainingCorpus
from earshift.protocols import Advance
from earshift.storage.files import read_json, replacing, write_json, write_table
from earshift.storage.hashes import digest
from earshift.storage.results import read_result
from earshift.training.arrays import write_arrays
from earshift.training.data import TrainingData
from earshift.training.evaluation import Evaluator
from earshift.training.loop import Checkpoint
from earshift.training.records import DIVERGED, RECORD, ModelRecord, NetworkRecord, TrainedNetwork

ARRAYS, _RECORD = "network.npz", "record.json"  # in the store


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

    def train(self, config: Config, name: str, task: str) -> NetworkRecord:
        """Bring the network of one task into the store, and say what is known about it.

        Parameters
        ----------
        config : Config
        name : str, encoder
        task : str, one of the encoder's

        Raises
        ------
        UserError
            If the data do not suffice, or training diverges at once.
        """

    def open(self, config: Config, name: str, task: str, record: NetworkRecord) -> Evaluation:
        """The trained network of a task, of which `record` says what it is."""


def obtain_network(key: str, label: str, train: Callable[[Path], NetworkRecord]) -> tuple[Path, NetworkRecord]:
    """A network in the store, trained where it is not there yet.

    Parameters
    ----------
    key : hash of all that determines it
    label : of what is printed
    train : writes the arrays at the path that it is given, other files beside it, and returns what is known

    Returns
    -------
    pathlib.Path
        Of its arrays.
    NetworkRecord
    """
    store = artifacts.store()
    if store.check(key) is None:
        with _workplace(key) as root:
            record = train(root / ARRAYS)
            write_json(root / _RECORD, record)
            _put(key, label, root)
        paths.checkpoint(key).unlink(missing_ok=True)
    else:
        record = cast(NetworkRecord, read_json(_stored(key, _RECORD)))
        print(f"{label}: reused, {record['epochs']} epochs")
    return _stored(key, ARRAYS), record


def place_network(key: str, folder: Path, task: str) -> None:
    """Put the files of a network into the folder of an encoder."""
    manifest = artifacts.store().manifest(key)
    for name in manifest.files if manifest else ():
        if name != _RECORD:
            target = name.replace("network.", f"{task}.")
            with replacing(folder / target) as temporary:
                link_or_copy(_stored(key, name), temporary)


def keep_networks(folder: Path) -> None:
    """Put the whole networks that lie in the folder of an encoder into the store, whoever has trained them."""
    store = artifacts.store()
    try:
        tasks = read_result(folder / RECORD, ModelRecord)["tasks"]
    except UserError:  # it may be anybody's
        return
    for task, record in tasks.items():
        key, others = record["fingerprint"], record.get("files", [])
        names = [f"{task}.npz", f"{task}.csv", *others]
        if not (re.fullmatch("[0-9a-f]{64}", key) and all(Path(name).name == name for name in names)):
            continue
        if key in store or not all((folder / name).is_file() for name in names):
            continue
        if digest(folder / f"{task}.npz") == record["sha256"]:
            with _workplace(key) as root:
                for suffix in (".npz", ".csv"):
                    link_or_copy(folder / f"{task}{suffix}", root / f"network{suffix}")
                for name in others:
                    link_or_copy(folder / name, root / name)
                write_json(root / _RECORD, record)
                _put(key, task, root)


@contextlib.contextmanager
def _workplace(key: str) -> Iterator[Path]:
    root = artifacts.store().folder / f"work/{key}.{os.getpid()}"
    root.mkdir(parents=True, exist_ok=True)
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _put(key: str, label: str, root: Path) -> None:
    files = {path.name: digest(path) for path in sorted(root.iterdir())}
    artifacts.store().put(key, Manifest(f"network/{label}", files), root=root)


def _stored(key: str, name: str) -> Path:
    path = artifacts.store().file(key, name)
    if path is None:
        raise UserError(f"{artifacts.store().folder} no longer holds {name} of a network; run again")
    return path


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

    Its checkpoint, paths.checkpoint(key), stays until the network is in the store.

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
