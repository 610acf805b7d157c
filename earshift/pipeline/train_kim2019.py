"""Networks of kim2019: what they are trained on, what determines them, how they are opened again.

Imports torch: import this module inside functions.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from earshift.corpora.split import TEST, TRAIN
from earshift.pipeline import paths
from earshift.pipeline.compute import mapper, torch_device
from earshift.pipeline.config import Config
from earshift.pipeline.networks import Evaluation, reuse, train_network
from earshift.pipeline.training_data import TrainingCorpus
from earshift.storage.provenance import fingerprint, source_sha256, versions
from earshift.training.arrays import load_arrays, read_arrays
from earshift.training.data import TrainingData
from earshift.training.excerpt import SAMPLE_RATE
from earshift.training.kim2019 import batches, training
from earshift.training.kim2019.options import TASK_NAMES
from earshift.training.kim2019.scores import Evaluator
from earshift.training.kim2019.tasks import TASKS
from earshift.training.records import NetworkRecord

# What of `training` does not reach the networks
_ELSEWHERE = ("bootstrap", "confidence", "references_apart", "unpool_places", "linear_mfcc_target", "two_sided_mask")


class _Encoder(Protocol):
    """What an encoder of the study has as options."""

    network: Literal["vgg", "mfcc"]
    channels: int
    trial: int


class Trainer:
    """See :class:`earshift.pipeline.networks.Trainer`."""

    def train(
        self, config: Config, name: str, task: str, folder: Path, record: Mapping[str, Any] | None
    ) -> NetworkRecord:
        """See :meth:`earshift.pipeline.networks.Trainer.train`."""
        options, plan = config.training, _plan(config, name)
        _, data = _prepare(config, name, task)
        outputs = batches.choose_outputs(task, data, tags=options.autotagging.tags)
        clips = _clips(config, task, data, outputs)
        own = asdict(options.task(task))
        key = fingerprint(
            task=task, network=plan.encoder, channels=plan.channels, trial=plan.trial, data=data.digest,
            training={k: v for k, v in asdict(options).items() if k not in TASK_NAMES and k not in _ELSEWHERE},
            own=own, switches={k: on for k, on in plan.switches.items() if k != "references_apart"}, outputs=outputs,
            code=source_sha256(training), packages=versions("torch", "numpy", "soxr"),
        )  # fmt: skip
        path, label = folder / f"{task}.npz", f"train {name} {task}"
        return reuse(path, record, key, label) or train_network(
            path, key,
            lambda checkpoint, advance: training.train(clips, plan, checkpoint=checkpoint, advance=advance),
            label=label, data=data, outputs=outputs, epochs=own["epochs"],
            examples=len(data.places(TRAIN)),
        )  # fmt: skip

    def open(self, config: Config, name: str, task: str, record: NetworkRecord) -> Evaluation:
        """See :meth:`earshift.pipeline.networks.Trainer.open`."""
        corpus, data = _prepare(config, name, task)
        clips, plan = _clips(config, task, data, record["outputs"]), _plan(config, name)
        network = plan.build_network(clips.task, len(clips.outputs))
        load_arrays(network, read_arrays(paths.model(name) / f"{task}.npz"))
        evaluator = Evaluator(
            clips, network.to(clips.device).eval(), config.training, plan.switches, mapper(config.compute, threads=True)
        )
        rows = data.rows(data.places(TEST))
        return Evaluation(clips.task.metric, clips.task.better, evaluator, corpus, rows)


def _prepare(config: Config, name: str, task: str) -> tuple[TrainingCorpus, TrainingData]:
    corpus = TrainingCorpus(config, config.training.task(task).corpus)
    stems = TASKS[task].stems
    return corpus, corpus.prepare(config.training, trial=_plan(config, name).trial, stems=stems, rate=SAMPLE_RATE)


def _clips(config: Config, task: str, data: TrainingData, outputs: list[str]) -> batches.TaskClips:
    device = torch_device(config.compute.device)
    return batches.TaskClips(data, task, outputs, size=config.training.batch, device=device)


def _plan(config: Config, name: str) -> training.Plan:
    encoder, options = cast(_Encoder, config.encoders[name]), config.training
    return training.Plan(encoder.network, encoder.channels, encoder.trial, options, options.switches(config.fidelity))
