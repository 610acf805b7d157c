"""How the third study's networks do on test clips, as these are and moved.

Conventions
-----------
Scores are those of :mod:`earshift.training.kim2019.tasks`, per clip, on the middle 44,100 samples of what a perturbation leaves; the
reported number is their mean, its interval is from resampled recordings. Separation is judged against the predominant
part as it is, except where a perturbation moves the music itself (``moves_music``: pitch, tempo, gain): there the part
is moved likewise (as in the study, whose references follow pitch and tempo and stay clean under noise and MP3). Mixture
and part pass the perturbation as two channels of one signal, for stretched apart their phases would differ, and no
mask, however good, would score above some -1 dB. In the study they were stretched apart (``references_apart``).
"""

import numpy as np

from earshift.pipeline.compute import ordered_map
from earshift.storage.packed_audio import AudioReader
from earshift.training.excerpt import middle
from earshift.training.perturbed import perturbed


def evaluated(data, network, task, recipes, switches, params):
    """Numbers of one network on the test clips.

    Parameters
    ----------
    data : earshift.training.kim2019.training.Data
    network : earshift.training.kim2019.networks.Network, ready to be asked
    task : str
    recipes : list of (earshift.perturbations.recipe.Recipe, fingerprint)
    switches : dict of str to bool
    params : earshift.pipeline.config.Params

    Returns
    -------
    (number, low, high, clips) of the originals, and the same by value
    """
    places = data.material.places("test")
    groups = data.material.clips["group"].to_numpy(dtype=str)[places]

    def number(audio):
        found = _scores(task, network, data, places, audio, switches, params.training.batch)
        return _with_interval(found, groups, params.training)

    shown = {
        recipe.value: number(_moved(params, data, places, recipe, fingerprint, switches))
        for recipe, fingerprint in recipes
    }
    return number(data.audio(places)), shown


def _scores(task, network, data, places, audio, switches, size):
    from earshift.training import loop
    from earshift.training.kim2019 import tasks

    with loop.threads(data.threads):
        return np.concatenate(
            [
                tasks.scores(task, network, data.batch(places[i : i + size], audio[i : i + size]), switches)
                for i in range(0, len(places), size)
            ]
        )


def _moved(params, data, places, recipe, fingerprint, switches):
    """Excerpts of the test clips at one value, float32 [shape=(clips, 1 or 2, 44100)]."""
    rows = data.material.clips["row"].to_numpy()[places].tolist()
    moves = data.task.stems and recipe.perturbation.moves_music
    stems = data.material.audio, recipe if moves else None

    def of_stems(function):
        return ordered_map(_of_stems, ((function, *stems, row) for row in rows), params.compute, threads=True)

    if moves and not switches["references_apart"]:
        return np.stack(list(of_stems(_together)))
    mixtures = perturbed(middle, rows, recipe, fingerprint, packed=data.packed, own=data.is_own, compute=params.compute)
    if not data.task.stems:
        return np.stack(list(mixtures))[:, None]
    return np.stack([np.stack(pair) for pair in zip(mixtures, of_stems(_apart), strict=True)])


def _of_stems(function, packed, recipe, row):
    with AudioReader(packed) as reader:
        audio, rate = reader[row]
    return function(audio, rate, recipe.processor() if recipe else lambda audio, rate: audio)


def _together(audio, rate, processor):
    """Excerpts of mixture and predominant part, moved as two channels of one signal."""
    return np.stack([middle(channel[None], rate) for channel in processor(audio, rate)])


def _apart(audio, rate, processor):
    """The excerpt of the predominant part alone."""
    return middle(processor(audio[1:2], rate), rate)


def _with_interval(scores, groups, training):
    """(mean, low, high, clips) of scores, clips without one left out; the interval is NaN for less than two recordings.

    Recordings are resampled with replacement.
    """
    known = np.isfinite(scores)
    if not known.any():
        return float("nan"), float("nan"), float("nan"), 0
    names, member = np.unique(groups[known], return_inverse=True)
    low = high = float("nan")
    if len(names) > 1:
        rng = np.random.default_rng(training.seed)
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=training.bootstrap)
        sums = drawn @ np.bincount(member, weights=scores[known])
        tail = (1 - training.confidence) / 2
        low, high = (float(q) for q in np.quantile(sums / (drawn @ np.bincount(member)), (tail, 1 - tail)))
    return float(scores[known].mean()), low, high, int(known.sum())
