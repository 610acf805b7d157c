"""Brings the networks in data/models/ENCODER up to date.

Conventions
-----------
The folder holds model.json, and for every task of the encoder TASK.npz (all arrays of its network) and TASK.csv (losses
by epoch). An encoder in which nothing is trained here has model.json alone. A network that is in the store is not
trained again; a killed training goes on after its last epoch.
"""

from typing import TYPE_CHECKING

from earshift.encoders.weights.record import ARRAYS as WEIGHTS
from earshift.encoders.weights.record import RECORD as WEIGHTS_RECORD
from earshift.pipeline import paths
from earshift.pipeline.config import Config
from earshift.storage.files import read_json, remove_leftovers
from earshift.storage.results import write_result
from earshift.training.records import MODEL, ModelRecord, NetworkRecord

if TYPE_CHECKING:
    from earshift.pipeline.networks import Trainer

RECORD = MODEL
SECTIONS = {"kim2019": "training", "verma2023": "diverse"}  # of params.yaml, by what trains an encoder


def train(config: Config, name: str) -> None:
    """Bring the networks of one encoder up to date with params.yaml and the data.

    Raises
    ------
    UserError
        If the data do not suffice, or training diverges at once.
    """
    encoder, folder = config.encoders[name], paths.model(name)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    tasks: dict[str, NetworkRecord] = {}
    if encoder.tasks or (read_json(folder / RECORD) or {}).get("tasks"):
        from earshift.pipeline import networks  # imports torch, and most encoders are not trained here

        networks.keep_networks(folder)
        for task in encoder.tasks:
            tasks[task] = trainer_of(encoder.training).train(config, name, task)
            networks.place_network(tasks[task]["fingerprint"], folder, task)
    wanted = {RECORD, WEIGHTS, WEIGHTS_RECORD, *(f"{task}.{kind}" for task in tasks for kind in ("npz", "csv"))}
    wanted |= {file for about in tasks.values() for file in about.get("files", ())}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
    write_result(folder / RECORD, ModelRecord, {"encoder": name, "tasks": tasks})


def trainer_of(study: str | None) -> "Trainer":
    """What trains and evaluates the networks of a study; imported when it is needed, because it imports torch."""
    if study == "kim2019":
        from earshift.pipeline import train_kim2019

        return train_kim2019.Trainer()
    from earshift.pipeline import train_verma2023

    return train_verma2023.Trainer()
