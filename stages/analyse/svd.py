"""How many directions a perturbation moves clips along: ``python -m stages.analyse.svd ENCODER PERTURBATION``.

Conventions
-----------
The unit sample-wise CCA directions of the training clips (:func:`stages.analyse.directions.clip_directions`) are
stacked and decomposed without centring, beside the mean-centred original vectors of the same clips; both spectra are
relative to their first singular value (the study's notebook 3.5). This is done for every instrument, as in the study,
and over all. A clip of several instruments counts for each, and once over all.

- Energy is s^2, and its shares s^2 / sum s^2 are the eigenvalues of the directions' mean outer product. The effective
  rank is exp of their entropy (:func:`stages.analyse.statistics.effective_rank` says why s^2 and not s). n directions
  have an effective rank of at most n, so compare it with the number of directions and with the null.
- *null*: directions fitted to strengths shuffled within clips; means over the shuffles.
- *interval* of the effective rank: jackknife over recordings. A bootstrap would draw some recordings twice and others
  never, and repeated rows span fewer directions: it would be biased low. Leaving one recording out at a time is not.

Spectra come from Gram matrices on the smaller side; singular values below 1e-7 of the first are rounding and stand
as 0.
"""

import numpy as np

from stages import params, paths, store
from stages.analyse import data, directions
from stages.analyse.statistics import (
    effective_rank,
    jackknife_blocks,
    jackknife_interval,
    rank_at_energy,
    shuffled,
)
from stages.compute import worker_count
from stages.errors import command

_SHOWN = 50  # relative singular values in the metrics; spectrum.csv has all
_ELEMENTS = 2**27  # numbers of shuffled directions held at a time: 1 GB
_DELETED = 80  # the jackknife leaves out one group at a time, or with more groups than this, as many blocks of groups


def analyse(trajectories, options, *, threads=1):
    """All numbers and plot data of one encoder under one perturbation.

    Parameters
    ----------
    trajectories : stages.analyse.data.Trajectories
    options : stages.params.Svd
    threads : int, which changes no number

    Returns
    -------
    dict
        Content of metrics/svd/ENCODER/PERTURBATION.json.
    pandas.DataFrame
        Spectra (instrument, rank, directions, null, originals: relative singular values; directions_energy,
        originals_energy: cumulative), instrument "all" over all.
    """
    t = trajectories
    train = t.indices("train")
    moved = directions.clip_directions(t.vectors[train], np.arange(len(t.values)), threads=threads)
    known = np.isfinite(moved).all(axis=1)
    still, train, moved = t.clip[train[~known]], train[known], moved[known]
    members = {None: slice(None), **{name: t.members(name)[train] for name in t.instruments}}
    nulls = _nulls(t, train, members, options, threads)
    numbers, tables = {}, []
    for name, member in members.items():
        spectra = _energies(moved[member]), _energies(_centred(t.originals[train[member]]))
        numbers[name] = _numbers(*spectra, nulls[name], moved[member], t.group[train[member]], options)
        tables.append(_table(name or data.ALL, *spectra, nulls[name]))
    overall = numbers.pop(None)
    result = {
        **t.heading,
        "overall": overall,
        "instruments": numbers,
        "notes": _notes(t, still, overall, numbers, options),
    }
    labelled = t.instruments != [data.ALL]

    import pandas as pd

    return result, pd.concat(tables if labelled else tables[:1], ignore_index=True)


def _centred(originals):
    originals = originals.astype(np.float64)
    return originals - originals.mean(axis=0) if len(originals) else originals


def _energies(rows):
    """Squared singular values [shape=(min(n, dim),)] of rows [shape=(n, dim)], largest first."""
    return _eigenvalues(rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows)


def _eigenvalues(gram):
    """Eigenvalues of a Gram matrix, largest first; those that rounding cannot tell from 0 are 0."""
    values = np.linalg.eigvalsh(gram)[::-1]
    return np.where(values > 1e-14 * max(values[:1], default=0), values, 0)


def _nulls(t, train, members, options, threads):
    """Mean effective rank and mean relative spectrum of directions fitted to shuffled strengths, by instrument."""
    rng = np.random.default_rng((options.seed, 0))
    count, values = len(train), len(t.values)
    ranks, spectra = {name: [] for name in members}, {name: [] for name in members}
    step = max(1, _ELEMENTS // max(1, count * t.dim))
    for start in range(0, options.permutations, step):
        strengths = shuffled(rng, min(step, options.permutations - start), count, values)
        for moved in directions.clip_directions(t.vectors[train], strengths, threads=threads):
            for name, member in members.items():
                rows = np.nan_to_num(moved[member])  # a shuffle may leave a clip without a direction
                energies = _energies(rows)
                ranks[name].append(effective_rank(energies))
                spectra[name].append(_relative(energies))
    return {name: (np.mean(ranks[name]), np.mean(spectra[name], axis=0)) for name in members}


def _relative(energies):
    """Singular values relative to the first."""
    return np.sqrt(energies / energies[0]) if energies.any() else energies


def _numbers(energies, originals, null, moved, groups, options):
    low, high = jackknife_interval(effective_rank(energies), _without_blocks(moved, groups), options.confidence)
    return {
        "directions": len(moved),
        "effective_rank": effective_rank(energies),
        "effective_rank_low": None if low is None else max(1.0, low),
        "effective_rank_high": high,
        "rank_at_energy": rank_at_energy(energies, options.energy),
        "null_effective_rank": null[0],
        "originals_effective_rank": effective_rank(originals),
        "originals_rank_at_energy": rank_at_energy(originals, options.energy),
        "spectrum": _relative(energies)[:_SHOWN],
        "originals_spectrum": _relative(originals)[:_SHOWN],
    }


def _without_blocks(moved, groups):
    """Effective rank of the directions without each block of groups in turn."""
    block, count = jackknife_blocks(groups, _DELETED)
    if count < 2:
        return []
    if len(moved) < moved.shape[1]:
        gram = moved @ moved.T
        grams = (gram[np.ix_(block != deleted, block != deleted)] for deleted in range(count))
    else:
        gram = moved.T @ moved
        grams = (gram - moved[block == deleted].T @ moved[block == deleted] for deleted in range(count))
    return [effective_rank(_eigenvalues(left)) for left in grams]


def _notes(t, still, overall, numbers, options):
    """What a reader must know about these numbers, one sentence each."""
    notes = []
    if len(still):
        notes.append(f"{len(still)} training clips without a direction are left out: their vectors do not move.")
    alone = [name for name, part in numbers.items() if part["directions"] and part["effective_rank_low"] is None]
    if alone:
        notes.append(f"No interval for {', '.join(alone)}: it takes two recordings.")
    groups = len(np.unique(t.group[t.split == "train"]))
    if groups > _DELETED:
        notes.append(f"The overall interval leaves out one of {_DELETED} blocks of the {groups} recordings at a time.")
    if overall["directions"] and overall["directions"] < t.dim:
        notes.append(
            f"{overall['directions']} directions in {t.dim} dimensions: an effective rank of at most "
            f"{overall['directions']} overall and, by instrument, of at most the number of its clips."
        )
    return notes


def _table(name, energies, originals, null):
    import pandas as pd

    return pd.DataFrame(
        {
            "instrument": name,
            "rank": np.arange(1, len(energies) + 1),
            "directions": _relative(energies),
            "null": null[1],
            "originals": _relative(originals),
            "directions_energy": _cumulative(energies),
            "originals_energy": _cumulative(originals),
        }
    )


def _cumulative(energies):
    return np.cumsum(energies) / energies.sum() if energies.any() else energies


@command
def main(arguments=None):
    """Write metrics and plot data of one encoder under one perturbation."""
    encoder, perturbation = data.arguments("svd", __doc__.partition("\n")[0], arguments)
    loaded = params.load()
    t = data.load(encoder, perturbation, classes=loaded.classes.tags)
    result, spectra = analyse(t, loaded.svd, threads=worker_count(loaded.compute))
    store.write_table(paths.plots("svd", encoder, perturbation) / "spectrum.csv", spectra)
    store.write_json(paths.metrics("svd", encoder, perturbation), result)


if __name__ == "__main__":
    main()
