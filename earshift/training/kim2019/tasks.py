"""The four tasks of kim2019: what a network predicts, its loss, its score, and the trivial prediction.

Conventions
-----------
Kim, Urbano, Liem and Hanjalic (2019), equations 1 to 8. A batch is a dict of tensors: ``mixture`` and ``target``
(waveforms [shape=(clips, 44100)], the latter where there are stems), ``tags`` (0 or 1), ``label`` (class numbers).
Scores are per clip, so that intervals can be taken over recordings; their mean is the number that is reported.

- autoencoder: the input's standardised spectrogram again; mean square error (lower is better)
- autotagging: which tags hold; area under the ROC curve over the tags of a clip, mean over clips
- instruments: which label; accuracy
- separation: the predominant part; SDR in dB, as museval has it

The trivial predictions: the mean spectrum of the training clips; how common each tag is there; the commonest label; the
mixture times the one gain that fits the training clips best.

Imports torch: import this module inside functions.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from earshift.training.kim2019.networks import HOP, N_FFT, Network
from earshift.training.kim2019.options import AUTOENCODER, AUTOTAGGING, INSTRUMENTS, SEPARATION

_FRAME = 22050  # samples over which SDR is taken: a second, as museval does

Batch = dict[str, Tensor]
Switches = dict[str, bool]  # the published accidents: earshift.training.kim2019.options.SWITCHES


class Task:
    """A task.

    name : str
    metric : what its score is
    better : which scores are better
    stems : bool, whether it needs the predominant part of clips
    """

    name: ClassVar[str]
    metric: ClassVar[Literal["mse", "auc", "accuracy", "sdr"]]
    better: ClassVar[Literal["lower", "higher"]] = "higher"
    stems: ClassVar[bool] = False

    def loss(self, network: Network, batch: Batch, switches: Switches) -> tuple[Tensor, int]:
        """The loss, a 0-d tensor, and the number of examples that it is the mean over."""
        raise NotImplementedError

    def scores(self, network: Network, batch: Batch, switches: Switches) -> NDArray[np.float64]:
        """How well a network in ``eval`` mode does on each clip of a batch.

        Returns
        -------
        float64 [shape=(clips,)]
            NaN for a clip that has no score: with all tags or none, of a label that was not trained, with a silent
            target.
        """
        raise NotImplementedError

    def predict_trivially(self, network: Network, batches: Iterable[Batch], switches: Switches) -> Any:
        """The trivial prediction.

        Parameters
        ----------
        network : for its spectrogram
        batches : of training clips, on the network's device

        Returns
        -------
        np.ndarray or number
            The mean spectrum [shape=(513, 1)], how common each tag is [shape=(tags,)], the commonest label, or a gain.
        """
        with torch.inference_mode():
            found = [self._sums(network, batch, switches) for batch in batches]
        return np.sum([numbers for numbers, _ in found], axis=0) / sum(weight for _, weight in found)

    def _sums(self, network: Network, batch: Batch, switches: Switches) -> tuple[Any, float]:
        """Sums over a batch, and what they are to be divided by."""
        raise NotImplementedError

    def baseline(self, prediction: Any, network: Network, batch: Batch, switches: Switches) -> NDArray[np.float64]:
        """Scores of a trivial prediction on the clips of a batch, as :meth:`scores` has them."""
        raise NotImplementedError


class Autoencoder(Task):
    """``linear_mfcc_target``: above MFCC it aims at linear magnitudes, above the VGG at standardised decibels."""

    name, metric, better = AUTOENCODER, "mse", "lower"

    def loss(self, network: Network, batch: Batch, switches: Switches) -> tuple[Tensor, int]:
        """See :meth:`Task.loss`."""
        magnitude = network.spectrogram.magnitude(batch["mixture"])
        target = self._target(network, magnitude, switches)
        return F.mse_loss(network.plane(magnitude), target), len(magnitude)

    def scores(self, network: Network, batch: Batch, switches: Switches) -> NDArray[np.float64]:
        """See :meth:`Task.scores`."""
        with torch.inference_mode():
            magnitude = network.spectrogram.magnitude(batch["mixture"])
            error = network.plane(magnitude) - self._target(network, magnitude, switches)
            return error.square().mean(dim=(1, 2)).cpu().double().numpy()

    def _sums(self, network: Network, batch: Batch, switches: Switches) -> tuple[Any, float]:
        target = self._target(network, network.spectrogram.magnitude(batch["mixture"]), switches)
        return target.double().sum(dim=(0, 2))[:, None].cpu().numpy(), target.shape[0] * target.shape[2]

    def baseline(self, prediction: Any, network: Network, batch: Batch, switches: Switches) -> NDArray[np.float64]:
        """See :meth:`Task.baseline`."""
        with torch.inference_mode():
            target = self._target(network, network.spectrogram.magnitude(batch["mixture"]), switches)
        scores: NDArray[np.float64] = np.square(target.cpu().double().numpy() - prediction).mean(axis=(1, 2))
        return scores

    def _target(self, network: Network, magnitude: Tensor, switches: Switches) -> Tensor:
        if switches["linear_mfcc_target"] and not network.is_vgg:
            return magnitude
        return network.spectrogram.standardised(magnitude)


class Autotagging(Task):
    """Which tags hold."""

    name, metric = AUTOTAGGING, "auc"

    def loss(self, network: Network, batch: Batch, switches: Switches) -> tuple[Tensor, int]:
        """See :meth:`Task.loss`."""
        loss = F.binary_cross_entropy_with_logits(network.classes(batch["mixture"]), batch["tags"])
        return loss, len(batch["tags"])

    def scores(self, network: Network, batch: Batch, switches: Switches) -> NDArray[np.float64]:
        """See :meth:`Task.scores`."""
        with torch.inference_mode():
            return clip_auc(network.classes(batch["mixture"]).cpu().numpy(), batch["tags"].cpu().numpy() > 0)

    def _sums(self, network: Network, batch: Batch, switches: Switches) -> tuple[Any, float]:
        return batch["tags"].double().sum(dim=0).cpu().numpy(), len(batch["tags"])

    def baseline(self, prediction: Any, network: Network, batch: Batch, switches: Switches) -> NDArray[np.float64]:
        """See :meth:`Task.baseline`."""
        tags = batch["tags"].cpu().numpy() > 0
        return clip_auc(np.broadcast_to(prediction, tags.shape), tags)


class Instruments(Task):
    """Which label; clips of a label that was not trained (-1) have no score."""

    name, metric = INSTRUMENTS, "accuracy"

    def loss(self, network: Network, batch: Batch, switches: Switches) -> tuple[Tensor, int]:
        """See :meth:`Task.loss`."""
        known = int((batch["label"] >= 0).sum())
        total = F.cross_entropy(network.classes(batch["mixture"]), batch["label"], ignore_index=-1, reduction="sum")
        return total / max(known, 1), known

    def scores(self, network: Network, batch: Batch, switches: Switches) -> NDArray[np.float64]:
        """See :meth:`Task.scores`."""
        with torch.inference_mode():
            predicted = network.classes(batch["mixture"]).argmax(dim=1).cpu().numpy()
        return self.baseline(predicted, network, batch, switches)

    def predict_trivially(self, network: Network, batches: Iterable[Batch], switches: Switches) -> Any:
        """See :meth:`Task.predict_trivially`."""
        labels = np.concatenate([batch["label"].cpu().numpy() for batch in batches])
        return np.bincount(labels[labels >= 0]).argmax()

    def baseline(self, prediction: Any, network: Network, batch: Batch, switches: Switches) -> NDArray[np.float64]:
        """See :meth:`Task.baseline`."""
        label = batch["label"].cpu().numpy()
        return np.where(label < 0, np.nan, label == prediction)


class Separation(Task):
    """``two_sided_mask``: it is also punished for what the rest of the mask leaves of the accompaniment."""

    name, metric, stems = SEPARATION, "sdr", True

    def loss(self, network: Network, batch: Batch, switches: Switches) -> tuple[Tensor, int]:
        """See :meth:`Task.loss`."""
        magnitude, wanted, rest = (
            network.spectrogram.magnitude(waveform)
            for waveform in (batch["mixture"], batch["target"], batch["mixture"] - batch["target"])
        )
        mask = network.plane(magnitude).sigmoid()
        loss = F.l1_loss(mask * magnitude, wanted)
        if switches["two_sided_mask"]:
            loss = loss + F.l1_loss((1 - mask) * magnitude, rest)
        return loss, len(magnitude)

    def scores(self, network: Network, batch: Batch, switches: Switches) -> NDArray[np.float64]:
        """See :meth:`Task.scores`."""
        with torch.inference_mode():
            return sdr(separate(network, batch["mixture"]).cpu().numpy(), batch["target"].cpu().numpy())

    def _sums(self, network: Network, batch: Batch, switches: Switches) -> tuple[Any, float]:
        mixture = batch["mixture"].double()
        return float((mixture * batch["target"]).sum()), float(mixture.square().sum())

    def baseline(self, prediction: Any, network: Network, batch: Batch, switches: Switches) -> NDArray[np.float64]:
        """See :meth:`Task.baseline`."""
        return sdr(prediction * batch["mixture"].cpu().numpy(), batch["target"].cpu().numpy())


TASKS: dict[str, Task] = {task.name: task for task in (Autoencoder(), Autotagging(), Instruments(), Separation())}


def separate(network: Network, mixture: Tensor) -> Tensor:
    """The predominant part of waveforms [shape=(clips, 44100)]: masked magnitudes with the mixture's phase."""
    window = network.spectrogram.window
    spectrum = torch.stft(mixture, N_FFT, HOP, window=window, center=True, pad_mode="reflect", return_complex=True)
    mask = network.plane(spectrum.abs()).sigmoid()
    return torch.istft(mask * spectrum, N_FFT, HOP, window=window, center=True, length=mixture.shape[1])


def clip_auc(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Area under the ROC curve over the tags of each clip (ties count half), NaN where all hold or none does.

    The mean is scikit-learn's ``roc_auc_score(truth, scores, average="samples")`` over the clips that have one.

    Parameters
    ----------
    scores : float [shape=(clips, tags)]
    truth : bool [shape=(clips, tags)]

    Returns
    -------
    float64 [shape=(clips,)]
    """
    from scipy.stats import rankdata

    positive = truth.sum(axis=1)
    pairs = positive * (truth.shape[1] - positive)
    above = (rankdata(scores, axis=1) * truth).sum(axis=1) - positive * (positive + 1) / 2
    return np.where(pairs > 0, above / np.maximum(pairs, 1), np.nan)


def sdr(estimates: NDArray[np.floating], references: NDArray[np.floating]) -> NDArray[np.float64]:
    """Signal-to-distortion ratio in dB, the median over frames of a second, as museval 0.4 (BSS Eval v4) has it.

    Of the parts that BSS Eval splits the error into, SDR takes the sum, so that it needs none of its filters.

    Parameters
    ----------
    estimates, references : float [shape=(clips, samples)]

    Returns
    -------
    float64 [shape=(clips,)]
        NaN where estimate or reference is silent in every frame.
    """
    frames = estimates.shape[1] // _FRAME
    estimate, reference = (
        np.asarray(a, dtype=np.float64)[:, : frames * _FRAME].reshape(len(a), frames, _FRAME)
        for a in (estimates, references)
    )
    heard = (np.abs(estimate).max(axis=2) > 0) & (np.abs(reference).max(axis=2) > 0)
    signal, error = np.square(reference).sum(axis=2), np.square(estimate - reference).sum(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(heard, 10 * np.log10(signal / error), np.nan)
    found = np.full(len(ratio), np.nan)
    some = heard.any(axis=1)
    found[some] = np.nanmedian(ratio[some], axis=1)
    return found
