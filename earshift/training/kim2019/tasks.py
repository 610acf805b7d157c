"""The four tasks of the third study: what is asked of a network, its loss, its score, and the trivial answer.

Conventions
-----------
Kim, Urbano, Liem and Hanjalic (2019), equations 1 to 8. A batch is a dict of tensors: ``mixture`` and ``target``
(waveforms, the latter where there are stems), ``tags`` (0 or 1), ``label`` (class numbers). Scores are per clip, so
that intervals can be taken over recordings; their mean is the number that is reported.

- autoencoder: the input's standardised spectrogram again; mean square error (lower is better)
- autotagging: which tags hold; area under the ROC curve over the tags of a clip, mean over clips
- instruments: which label; accuracy
- separation: the predominant part; SDR in dB, as museval has it

The trivial answers: the mean spectrum of the training clips; how common each tag is there; the commonest label; the
mixture times the one gain that fits the training clips best.
"""

from dataclasses import dataclass

import numpy as np

AUTOENCODER, AUTOTAGGING, INSTRUMENTS, SEPARATION = "autoencoder", "autotagging", "instruments", "separation"
_FRAME = 22050  # samples over which SDR is taken: a second, as museval does


@dataclass(frozen=True)
class Task:
    """A task.

    name : str
    metric : "mse", "auc", "accuracy" or "sdr"
    better : "lower" or "higher"
    needs : "label", "tags", "stems" or ""
    """

    name: str
    metric: str
    better: str
    needs: str

    @property
    def stems(self):
        return self.needs == "stems"


TASKS = {
    task.name: task
    for task in (
        Task(AUTOENCODER, "mse", "lower", ""),
        Task(AUTOTAGGING, "auc", "higher", "tags"),
        Task(INSTRUMENTS, "accuracy", "higher", "label"),
        Task(SEPARATION, "sdr", "higher", "stems"),
    )
}


def loss(task, switches):
    """The loss of a task as :func:`earshift.training.loop.fit` takes it.

    Parameters
    ----------
    task : str
    switches : dict of str to bool, the published accidents: ``linear_mfcc_target`` (MFCC's auto-encoder aims at linear
        magnitudes where the VGG's aims at standardised decibels), ``two_sided_mask`` (separation is also punished for
        what the rest of the mask leaves of the accompaniment)

    Returns
    -------
    callable, (network, batch) -> (0-d tensor, examples)
    """
    from torch.nn import functional as F

    def autoencoder(network, batch):
        magnitude = network.spectrogram.magnitude(batch["mixture"])
        target = _target(network, magnitude, switches)
        return F.mse_loss(network.plane(magnitude), target), len(magnitude)

    def autotagging(network, batch):
        found = F.binary_cross_entropy_with_logits(network.classes(batch["mixture"]), batch["tags"])
        return found, len(batch["tags"])

    def instruments(network, batch):
        known = int((batch["label"] >= 0).sum())
        total = F.cross_entropy(network.classes(batch["mixture"]), batch["label"], ignore_index=-1, reduction="sum")
        return total / max(known, 1), known

    def separation(network, batch):
        magnitude, wanted, rest = (
            network.spectrogram.magnitude(waveform)
            for waveform in (batch["mixture"], batch["target"], batch["mixture"] - batch["target"])
        )
        mask = network.plane(magnitude).sigmoid()
        found = F.l1_loss(mask * magnitude, wanted)
        if switches["two_sided_mask"]:
            found = found + F.l1_loss((1 - mask) * magnitude, rest)
        return found, len(magnitude)

    return {AUTOENCODER: autoencoder, AUTOTAGGING: autotagging, INSTRUMENTS: instruments, SEPARATION: separation}[task]


def _target(network, magnitude, switches):
    if switches["linear_mfcc_target"] and not network.is_vgg:
        return magnitude
    return network.spectrogram.standardised(magnitude)


# -------------------------------------------------------------------------------------------------------------- scores


def scores(task, network, batch, switches):
    """How well a network in ``eval`` mode does on each clip of a batch.

    Returns
    -------
    float64 [shape=(clips,)]
        NaN for a clip that has no score: with all tags or none, of a label that was not trained, with a silent target.
    """
    import torch

    with torch.inference_mode():
        if task == AUTOENCODER:
            magnitude = network.spectrogram.magnitude(batch["mixture"])
            error = network.plane(magnitude) - _target(network, magnitude, switches)
            return error.square().mean(dim=(1, 2)).cpu().double().numpy()
        if task == AUTOTAGGING:
            return clip_auc(network.classes(batch["mixture"]).cpu().numpy(), batch["tags"].cpu().numpy() > 0)
        if task == INSTRUMENTS:
            right = network.classes(batch["mixture"]).argmax(dim=1) == batch["label"]
            return np.where(batch["label"].cpu().numpy() < 0, np.nan, right.cpu().numpy().astype(float))
        return sdr(separated(network, batch["mixture"]).cpu().numpy(), batch["target"].cpu().numpy())


def separated(network, mixture):
    """The predominant part of waveforms [shape=(clips, 44100)]: masked magnitudes with the mixture's phase."""
    import torch

    from earshift.training.kim2019.networks import HOP, N_FFT

    window = network.spectrogram.window
    spectrum = torch.stft(mixture, N_FFT, HOP, window=window, center=True, pad_mode="reflect", return_complex=True)
    mask = network.plane(spectrum.abs()).sigmoid()
    return torch.istft(mask * spectrum, N_FFT, HOP, window=window, center=True, length=mixture.shape[1])


def trivial_answer(task, network, batches, switches):
    """What :func:`baseline` answers to every clip.

    Parameters
    ----------
    task : str
    network : earshift.training.kim2019.networks.Network, for its spectrogram
    batches : iterable of batches of training clips, on the network's device
    switches : as for :func:`loss`

    Returns
    -------
    np.ndarray
        The mean spectrum [shape=(513, 1)], how common each tag is [shape=(tags,)], the commonest label, or a gain.
    """
    found = [_summed(task, network, batch, switches) for batch in batches]
    total = np.sum([numbers for numbers, _ in found], axis=0)
    if task == INSTRUMENTS:
        return np.argmax(total)
    return total / sum(weight for _, weight in found)


def _summed(task, network, batch, switches):
    """Sums over a batch, and what they are to be divided by."""
    import torch

    with torch.inference_mode():
        if task == AUTOENCODER:
            target = _target(network, network.spectrogram.magnitude(batch["mixture"]), switches)
            return target.double().sum(dim=(0, 2))[:, None].cpu().numpy(), target.shape[0] * target.shape[2]
        if task == AUTOTAGGING:
            return batch["tags"].double().sum(dim=0).cpu().numpy(), len(batch["tags"])
        if task == INSTRUMENTS:
            labels = batch["label"].cpu().numpy()
            return np.bincount(labels[labels >= 0], minlength=len(network.head[-1].bias)), 1
        mixture = batch["mixture"].double()
        return float((mixture * batch["target"]).sum()), float(mixture.square().sum())


def baseline(task, answer, network, batch, switches):
    """Scores of a :func:`trivial_answer` on the clips of a batch, as :func:`scores` has them."""
    import torch

    with torch.inference_mode():
        if task == AUTOENCODER:
            target = _target(network, network.spectrogram.magnitude(batch["mixture"]), switches)
            return np.square(target.cpu().double().numpy() - answer).mean(axis=(1, 2))
    if task == AUTOTAGGING:
        tags = batch["tags"].cpu().numpy() > 0
        return clip_auc(np.broadcast_to(answer, tags.shape), tags)
    if task == INSTRUMENTS:
        label = batch["label"].cpu().numpy()
        return np.where(label < 0, np.nan, label == answer)
    return sdr(answer * batch["mixture"].cpu().numpy(), batch["target"].cpu().numpy())


def clip_auc(scores, truth):
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

    truth = np.asarray(truth, dtype=bool)
    positive = truth.sum(axis=1)
    pairs = positive * (truth.shape[1] - positive)
    above = (rankdata(scores, axis=1) * truth).sum(axis=1) - positive * (positive + 1) / 2
    return np.where(pairs > 0, above / np.maximum(pairs, 1), np.nan)


def sdr(estimates, references):
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
    cut = [np.asarray(a, dtype=np.float64)[:, : frames * _FRAME].reshape(len(a), frames, _FRAME)
           for a in (estimates, references)]  # fmt: skip
    heard = np.logical_and(*(np.abs(a).max(axis=2) > 0 for a in cut))
    signal, error = np.square(cut[1]).sum(axis=2), np.square(cut[0] - cut[1]).sum(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(heard, 10 * np.log10(signal / error), np.nan)
    found = np.full(len(ratio), np.nan)
    some = heard.any(axis=1)
    found[some] = np.nanmedian(ratio[some], axis=1)
    return found
