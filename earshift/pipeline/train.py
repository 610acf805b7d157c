"""Stage ``train``: ``python -m stages.train ENCODER``.

Brings data/models/ENCODER up to date: model.json, and for every task of the encoder TASK.npz (all arrays of its
network) and TASK.csv (losses by epoch). An encoder in which nothing is trained here has model.json alone. A network
whose fingerprint still holds is kept; a killed training goes on after its last epoch.
"""

import argparse
import importlib

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.storage.files import read_json, remove_leftovers, write_json

RECORD = "model.json"


@command
def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("encoder")
    name = parser.parse_args().encoder
    params = load()
    if name not in params.encoders:
        raise UserError(f"unknown encoder {name!r}; params.yaml configures {', '.join(params.encoders)}")
    train(params, name)


def train(params, name):
    """Bring the networks of one encoder up to date with params.yaml and the data."""
    encoder = params.encoders[name]
    folder = paths.model(name)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    before = (read_json(folder / RECORD) or {}).get("tasks", {})
    tasks = {}
    if encoder.trainer:
        trainer = importlib.import_module(encoder.trainer)
        for task in encoder.tasks:
            tasks[task] = trainer.trained(params, name, task, folder, before.get(task))
            # what is finished stays so if the next one is killed
            write_json(folder / RECORD, {"encoder": name, "tasks": before | tasks})
    wanted = {RECORD, *(f"{task}.{kind}" for task in tasks for kind in ("npz", "csv"))}
    wanted |= {file for about in tasks.values() for file in about.get("files", ())}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
    write_json(folder / RECORD, {"encoder": name, "tasks": tasks})


if __name__ == "__main__":
    main()
