"""Trains the networks of kim2019: VGG-like encoders with a task each, and heads above MFCC.

Imports torch: import this module inside functions.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from earshift.corpora.split import TEST
from earshift.protocols import Advance, ignore
from earshift.training import loop
from earshift.training.arrays import arrays_of
from earshift.training.kim2019 import networks
from earshift.training.kim2019.batches import TaskClips
from earshift.training.kim2019.options import Training
from earshift.training.kim2019.tasks import Switches, Task
from earshift.training.records import TrainedNetwork


@dataclass(frozen=True)
class Plan:
    """Which network is trained, and how.

    encoder : "vgg" or "mfcc"
    channels : int, of the encoder's first block, or of the last block of a decoder above MFCC
    trial : int, which draw of the training recordings and which initial weights
    options : Training
    switches : dict of str to bool, the published accidents, see :meth:`Training.switches`
    """

    encoder: Literal["vgg", "mfcc"]
    channels: int
    trial: int
    options: Training
    switches: Switches

    def build_network(self, task: Task, outputs: int) -> networks.Network:
        """A network with fresh weights; `outputs` are its classes or tags, 0 where there are none."""
        return networks.Network(
            self.encoder,
            outputs=outputs,
            channels=self.channels,
            dropout=self.options.dropout,
            grow="places" if self.switches["unpool_places"] else "repeat",
            skips=task.stems,
        )


def train(
    clips: TaskClips, plan: Plan, *, checkpoint: loop.Checkpoint | None = None, advance: Advance = ignore
) -> TrainedNetwork:
    """Train the network of one task.

    Parameters
    ----------
    clips : TaskClips
    plan : Plan
    checkpoint : earshift.training.loop.Checkpoint or None, to go on from and to keep
    advance : called with how many clips were seen

    Raises
    ------
    UserError
        If training diverges at once.
    """
    task, options = clips.task, plan.options
    loop.seed_torch(options.seed, 4, plan.trial)
    network = plan.build_network(task, len(clips.outputs))
    networks.standardise(network.spectrogram, torch.from_numpy(clips.audio(clips.standards())[:, 0].copy()))
    network.to(clips.device)
    outcome = loop.fit(
        network,
        clips.of_part,
        lambda made, batch: task.loss(made, batch, plan.switches),
        options.schedule(options.task(task.name).epochs, plan.trial, amsgrad=True),
        device=clips.device,
        label=task.name,
        checkpoint=checkpoint,
        advance=advance,
    )
    network.eval()
    prediction = task.predict_trivially(network, clips.of_places(clips.standards()), plan.switches)
    baseline = [task.baseline(prediction, network, batch, plan.switches) for batch in clips.of_part(TEST)]
    return TrainedNetwork(
        arrays_of(network), outcome, loop.count_parameters(network), float(np.nanmean(np.concatenate(baseline)))
    )
