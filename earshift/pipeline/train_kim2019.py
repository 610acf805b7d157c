"""Networks of kim2019: what they are trained on, what determines them, how they are opened again.

Imports torch: import this module inside functions.
"""

from dataclasses import asdict
from functools import partial
from typing import Literal, Protocol, cast

from earshift.corpora.split import TEST, TRAIN
from earshift.pipeline import paths
from earshift.pipeline.artifacts import make_key
from earshift.pipeline.compute import mapper, torch_device
from earshift.pipeline.config import Config
from earshift.pipeline.networks import Evaluation, obtain_network, train_network
from earshift.pipeline.training_data import TrainingCorpus
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

    def train(self, config: Config, name: str, task: str) -> NetworkRecord:
        """See :meth:`earshift.pipeline.networks.Trainer.train`."""
        options, plan = config.training, _plan(config, name)
        _, data = _prepare(config, name, task)
        outputs = batches.choose_outputs(task, data, tags=options.autotagging.tags)
        clips = _clips(config, task, data, outputs)
        own = asdict(options.task(task))
        determined = {
            "task": task, "network": plan.encoder, "channels": plan.channels, "trial": plan.trial,
            "training": {k: v for k, v in asdict(options).items() if k not in TASK_NAMES and k not in _ELSEWHERE},
            "own": own, "switches": {k: on for k, on in plan.switches.items() if k != "references_apart"},
            "outputs": outputs,
        }  # fmt: skip
        key = make_key("network", contents={"data": data.digest}, options=determined, code=[__name__]).sha256
        label = f"train {name} {task}"
        train = partial(
            train_network, key=key,
            train=lambda checkpoint, advance: training.train(clips, plan, checkpoint=checkpoint, advance=advance),
            label=label, data=data, outputs=outputs, epochs=own["epochs"], examples=len(data.places(TRAIN)),
        )  # fmt: skip
        return obtain_network(key, label, train)[1]

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
