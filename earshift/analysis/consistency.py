"""Whether near neighbours stay near: ``python -m stages.consistency ENCODER PERTURBATION``.

Conventions
-----------
The third study's measures (Kim et al. 2019, 3.1) at every value, over all clips that are valid in the original and at
every value. Distances in the audio are those that ``distances`` measured, ``dtw`` and ``simple``; those between vectors
are ``consistency.latent``. All are from a transformed clip to an original one (:mod:`earshift.analysis.agreement`).

- within_D: share of the clips that are strictly nearer to their own original than to any other one, by distance D
  (equation 10; ties are errors). Chance is 1 / clips.
- between_agreement_A_L: share of the clips about which the distance A in the audio and L between vectors agree, both
  right or both wrong (equation 12). It is 1 where both are always right, and again where both are always wrong.
- between_spearman_A_L: Spearman's correlation of the two matrices, own distances included (equation 11, as the study's
  code has it).
- own_spearman_A_L: the same over own distances alone, d(transformed, original) in the audio against the latent one. The
  study's text reads so; the two numbers have little in common.
- originals_spearman_A_L: the correlation between originals alone, over all pairs of different clips (its Figure 13).

Clips without a distance (silence has no cosine, a short clip no SiMPle) are left out of what needs that distance; a
measure of two spaces leaves them out of both. Overall numbers are means over the values that have one. Intervals
resample recordings, in the same draws for all measures and values; they take :data:`FEWEST` recordings.

*Sides*: from the value that changes nothing a two-sided perturbation grows both ways, and each way is looked at on its
own, nearest value first. Perturbations without such a value, or with one at an end, have one side in order of strength.
``smallest`` is the first value of a side, ``at_smallest`` within-space consistency there (as in the study's Figure 12),
``falls_below`` the first value at which it lies below ``consistency.threshold``, None where it never does.
"""

import numpy as np

from earshift.analysis import agreement, data
from earshift.analysis.data import ORIGINAL
from earshift.analysis.statistics import group_bootstrap, present_mean, with_interval
from earshift.errors import UserError
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.storage.clips import read_clips
from earshift.storage.distances import read_distances
from earshift.storage.files import write_json, write_table

AUDIO = ("dtw", "simple")
FEWEST = 3  # recordings that an interval takes

_SHARE, _CORRELATION = (0, 1), (-1, 1)
_BOUNDS = {
    "within": _SHARE,
    "between_agreement": _SHARE,
    "between_spearman": _CORRELATION,
    "own_spearman": _CORRELATION,
    "originals_spearman": _CORRELATION,
}
_NAMED = 5  # values that a note names


class Measures:
    """What is measured at one value, or between originals: numbers and their draws by (measure, audio, latent)."""

    def __init__(self, member, draws):
        self._member, self._draws = member, draws
        self.numbers, self.draws, self.clips = {}, {}, {}

    def share(self, name, terms, clips):
        """The mean of what belongs to the given clips."""
        number = float(np.mean(terms)) if len(terms) else float("nan")
        draws = None
        if self._draws is not None and len(terms):
            draws = agreement.resampled_mean(terms, self._member[clips], self._draws)
        self._keep(name, number, draws, clips)

    def correlation(self, name, first, second, clips, *, own=True):
        """Spearman's correlation of two arrays, over pairs of the given clips, or over the clips."""
        if first.ndim == 1 or own:
            rho, slopes = agreement.spearman(first, second)
        else:
            apart, slopes = ~np.eye(len(first), dtype=bool), np.zeros(first.shape)
            rho, slopes[apart] = agreement.spearman(first[apart], second[apart])
        draws = None
        if self._draws is not None and np.isfinite(rho):
            of = agreement.of_clips if first.ndim == 1 else agreement.of_pairs
            slopes = of(slopes, self._member[clips], self._draws.shape[1])
            draws = agreement.resampled_correlation(rho, slopes, self._draws)
        self._keep(name, rho, draws, clips)

    def _keep(self, name, number, draws, clips):
        self.numbers[name], self.draws[name], self.clips[name] = number, draws, len(clips)


def analyse(t, audio, options, *, neutral=None):
    """All numbers and plot data of one encoder under one perturbation.

    Parameters
    ----------
    t : earshift.analysis.data.Trajectories
    audio : callable
        Text of a value, or "original" -> {distance: float [shape=(clips, clips)]}, from the clips at that value to the
        clips as they are, in the order of ``t.clip``; NaN where there is none.
    options : earshift.pipeline.config.Consistency
    neutral : float or None
        The value that changes nothing, of a perturbation that grows from it both ways.

    Returns
    -------
    dict
        Content of metrics/consistency/ENCODER/PERTURBATION.json.
    pandas.DataFrame
        The measures at every value (measure, audio, latent, value, strength, number, low, high, clips).
    """
    recordings, member = np.unique(t.group, return_inverse=True)
    draws = None
    if len(recordings) >= FEWEST:
        rng = np.random.default_rng(options.seed)
        draws = group_bootstrap(rng, np.arange(len(recordings)), options.bootstrap, lambda counts: counts)
    between = audio(ORIGINAL) | _latent(t.originals, t.originals, options)
    spaces = [name for name in AUDIO if name in between], list(options.latent)
    originals = _of_originals(between, spaces, Measures(member, draws))
    steps = []
    for place, value in enumerate(t.values):
        distances = audio(value) | _latent(t.vectors[:, place], t.originals, options)
        steps.append(_at_value(distances, spaces, Measures(member, draws)))
    sides = _sides(t, neutral)
    for name in between:
        within = {value: step.numbers[_key("within", name)] for value, step in zip(t.values, steps, strict=True)}
        for side in sides.values():
            side["at_smallest"][name] = within[side["smallest"]]
            side["falls_below"][name] = next((v for v in side["values"] if within[v] < options.threshold), None)
    twins = {name: _twins(between[name]) for name in sum(spaces, [])}
    result = {
        **t.heading,
        "clips": {"used": len(t.clip), "recordings": len(recordings), "invalid": t.invalid, "twins": twins},
        "audio": spaces[0],
        "latent": spaces[1],
        "threshold": options.threshold,
        "overall": _overall(steps, options),
        "originals": _flat(originals.numbers, originals.draws, options),
        "sides": sides,
        "notes": _notes(t, steps, twins, len(recordings)),
    }
    return result, _curves(t, steps, options)


def _latent(vectors, originals, options):
    return {name: agreement.LATENT[name](vectors, originals) for name in options.latent}


def _at_value(distances, spaces, measures):
    for name in sum(spaces, []):
        clips = np.flatnonzero(agreement.usable(distances[name]))
        measures.share(_key("within", name), ~agreement.errors(_among(distances[name], clips)), clips)
    for a, z, clips in _pairs(distances, spaces):
        first, second = (_among(distances[name], clips) for name in (a, z))
        terms = agreement.agreements(agreement.errors(first), agreement.errors(second))
        measures.share(("between_agreement", a, z), terms, clips)
        measures.correlation(("between_spearman", a, z), first, second, clips)
        measures.correlation(("own_spearman", a, z), np.diagonal(first), np.diagonal(second), clips)
    return measures


def _of_originals(distances, spaces, measures):
    for a, z, clips in _pairs(distances, spaces):
        first, second = (_among(distances[name], clips) for name in (a, z))
        measures.correlation(("originals_spearman", a, z), first, second, clips, own=False)
    return measures


def _pairs(distances, spaces):
    """Every distance in the audio with every latent one, and the clips that have both."""
    for a in spaces[0]:
        for z in spaces[1]:
            yield a, z, np.flatnonzero(agreement.usable(distances[a], distances[z]))


def _among(distances, clips):
    return distances if len(clips) == len(distances) else distances[np.ix_(clips, clips)]


def _key(measure, name):
    return (measure, name, "") if name in AUDIO else (measure, "", name)


def _twins(distances):
    """How many originals have another one at distance 0."""
    apart = ~np.eye(len(distances), dtype=bool)
    return int(((distances == 0) & apart).any(axis=1).sum())


# ---------------------------------------------------------------------------------------------------------------- sides


def _sides(t, neutral):
    """The sides of a perturbation: their values, nearest first, the smallest and its distance from neutral."""
    away = {value: abs(float(value) - neutral) for value in t.values} if neutral is not None else {}
    ways = {"all": list(t.values)}
    if neutral is not None:
        ways = {
            "below": sorted((v for v in t.values if float(v) < neutral), key=away.get),
            "above": sorted((v for v in t.values if float(v) > neutral), key=away.get),
        }
    return {
        name: {
            "values": values,
            "smallest": values[0],
            "distance_from_neutral": away.get(values[0]),
            "at_smallest": {},
            "falls_below": {},
        }
        for name, values in ways.items()
        if values
    }


# --------------------------------------------------------------------------------------------------------------- output


def name_of(key):
    """The name of a measure in the metrics, as within_dtw or between_spearman_dtw_euclidean."""
    return "_".join(part for part in key if part)


def _overall(steps, options):
    """Means over the values, with intervals."""
    numbers, draws = {}, {}
    for key in steps[0].numbers:
        known = [step for step in steps if np.isfinite(step.numbers[key])]
        numbers[key] = float(np.mean([step.numbers[key] for step in known])) if known else float("nan")
        draws[key] = present_mean([step.draws[key] for step in known]) if known else None
    return _flat(numbers, draws, options)


def _flat(numbers, draws, options):
    found = {}
    for key, number in numbers.items():
        found |= with_interval(name_of(key), number, draws[key], options.confidence, _BOUNDS[key[0]])
    return found


def _curves(t, steps, options):
    import pandas as pd

    rows = []
    for key in steps[0].numbers:
        for value, strength, step in zip(t.values, t.strengths, steps, strict=True):
            shown = with_interval("x", step.numbers[key], step.draws[key], options.confidence, _BOUNDS[key[0]])
            rows.append((*key, value, strength, *shown.values(), step.clips[key]))
    columns = ["measure", "audio", "latent", "value", "strength", "number", "low", "high", "clips"]
    return pd.DataFrame(rows, columns=columns)


def _notes(t, steps, twins, recordings):
    """What a reader must know about these numbers, one sentence each."""
    notes = []
    if recordings < FEWEST:
        notes.append(f"No intervals of consistency: they take {FEWEST} recordings, there are {recordings}.")
    for name, count in twins.items():
        if count:
            space = "the audio" if name in AUDIO else "the embedding"
            notes.append(
                f"{count} of {len(t.clip)} originals lie at distance 0 from another one in {space} ({name}): a clip "
                "cannot be nearer to its own, so they count as errors where it is perfectly kept."
            )
    for key in steps[0].numbers:
        if key[0] == "within":
            notes += _left_out(t, steps, key)
    return notes


def _left_out(t, steps, key):
    """Values at which some clips, or all, have no distance."""
    name = key[1] or key[2]
    none = [value for value, step in zip(t.values, steps, strict=True) if not step.clips[key]]
    some = [value for value, step in zip(t.values, steps, strict=True) if 0 < step.clips[key] < len(t.clip)]
    if none:
        yield f"No clip has a distance by {name} at {_listed(none)}; means are over the other values."
    if some:
        fewest = min(step.clips[key] for step in steps if step.clips[key])
        yield f"Some clips have no distance by {name} at {_listed(some)}: at least {fewest} of {len(t.clip)} do."


def _listed(values):
    return ", ".join(values[:_NAMED]) + (f" and {len(values) - _NAMED} more" if len(values) > _NAMED else "")


# ----------------------------------------------------------------------------------------------------------- the files


def audio_distances(perturbation, clips):
    """A function from the text of a value, or "original", to the distances in the audio of the given clips.

    Parameters
    ----------
    perturbation : str
    clips : str [shape=(clips,)]

    Raises
    ------
    UserError
        From the function: if a file is missing, or was made from another corpus.
    """
    known = read_clips(paths.CLIPS)["clip"].tolist()
    place = {clip: i for i, clip in enumerate(known)}
    wanted = np.array([place[clip] for clip in clips])

    def read(value):
        path = paths.original_distances() if value == ORIGINAL else paths.distances(perturbation, value)
        found = read_distances(path)
        if found.clip != known:
            raise UserError(
                f"{path} holds {len(found.clip)} clips that are not the {len(known)} of {paths.CLIPS} in their order; "
                "run `dvc repro`"
            )
        return {name: _among(distances, wanted) for name, distances in found.matrices.items() if name in AUDIO}

    return read


@command
def main(arguments=None):
    """Write metrics and plot data of one encoder under one perturbation."""
    encoder, perturbation = data.arguments("consistency", __doc__.partition("\n")[0], arguments)
    loaded = params.load()
    kind = loaded.perturbations[perturbation]
    t = data.load(encoder, perturbation)
    result, curves = analyse(
        t, audio_distances(perturbation, t.clip), loaded.consistency,
        neutral=kind.neutral if kind.growth == "two-sided" else None,
    )  # fmt: skip
    write_table(paths.plots("consistency", encoder, perturbation) / "curves.csv", curves)
    write_json(paths.metrics("consistency", encoder, perturbation), result)


if __name__ == "__main__":
    main()
