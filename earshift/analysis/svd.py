"""How many directions a perturbation moves clips along: ``python -m stages.svd ENCODER PERTURBATION``.

Conventions
-----------
The unit sample-wise CCA directions of the training clips (:func:`earshift.analysis.directions.clip_directions`) are
stacked and decomposed without centring, beside the mean-centred original vectors of the same clips; both spectra are
relative to their first singular value (the study's notebook 3.5). This is done for every instrument, as in the study,
and over all. A clip of several instruments counts for each, and once over all.

- Energy is s^2, and its shares s^2 / sum s^2 are the eigenvalues of the directions' mean outer product. The effective
  rank is exp of their entropy (:func:`earshift.analysis.statistics.effective_rank` says why s^2 and not s). n directions
  have an effective rank of at most n, so compare it with the number of directions and with the null.
- *null*: directions fitted to strengths shuffled within clips; means over the shuffles.
- *interval* of the effective rank: jackknife over recordings. A bootstrap would draw some recordings twice and others
  never, and repeated rows span fewer directions: it would be biased low. Leaving one recording out at a time is not.

Spectra come from Gram matrices on the smaller side; singular values below 1e-7 of the first are rounding and stand
as 0. Directions are folded into them block by block of clips, so memory does not grow with the corpus.
"""

import numpy as np

from earshift.analysis import data, directions
from earshift.analysis.statistics import effective_rank, jackknife_blocks, jackknife_interval, rank_at_energy
from earshift.analysis.strengths import Strengths
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.compute import worker_count
from earshift.storage.files import write_json, write_table

_SHOWN = 50  # relative singular values in the metrics; spectrum.csv has all
_ELEMENTS = 2**22  # numbers of directions computed at a time: 32 MB
_HELD = 2**25  # numbers that the spectra of shuffles hold at a time, unless those of one hold more: 256 MB
_DELETED = 80  # the jackknife leaves out one group at a time, or with more groups than this, as many blocks of groups


def analyse(trajectories, options, *, threads=1):
    """All numbers and plot data of one encoder under one perturbation.

    Parameters
    ----------
    trajectories : earshift.analysis.data.Trajectories
    options : earshift.pipeline.config.Svd
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
    train, ranks = t.indices("train"), np.arange(len(t.values))
    members = {None: np.ones(len(train), dtype=bool), **{name: t.members(name)[train] for name in t.instruments}}
    spectra, known = _spectra(members, t.dim), np.empty(len(train), dtype=bool)
    for part in directions.blocks(len(train), t.dim, elements=_ELEMENTS):
        moved = directions.clip_directions(t.vectors, ranks, clips=train[part], threads=threads)
        known[part] = np.isfinite(moved).all(axis=1)
        _add(spectra, members, part, moved, known[part])
    still, train = t.clip[train[~known]], train[known]
    members = {name: member[known] for name, member in members.items()}
    nulls = _nulls(t, train, members, options, threads)
    numbers, tables = {}, []
    for name, member in members.items():
        own = train[member]

        def again(deleted, own=own):
            return directions.clip_directions(t.vectors, ranks, clips=own[deleted], threads=threads)

        energies, originals = spectra[name].energies(), _of_originals(t, own)
        low, high = jackknife_interval(
            effective_rank(energies), _without_blocks(spectra[name], t.group[own], again), options.confidence
        )
        numbers[name] = _numbers(len(own), energies, originals, nulls[name], (low, high), options)
        tables.append(_table(name or data.ALL, energies, originals, nulls[name]))
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


class _Spectrum:
    """Singular values of rows [shape=(n, dim)] that come block by block, n at most `count`.

    It holds as many rows as dimensions at most; with more they are folded into their Gram matrix.
    """

    def __init__(self, count, dim):
        self._buffer, self._filled, self._gram = np.empty((min(count, dim), dim)), 0, None

    @property
    def rows(self):
        """All rows, or None where some are folded."""
        return self._buffer[: self._filled] if self._gram is None else None

    def add(self, rows):
        while len(rows):
            if self._filled == len(self._buffer):
                self._fold()
            own, rows = np.split(rows, [len(self._buffer) - self._filled])
            self._buffer[self._filled : self._filled + len(own)] = own
            self._filled += len(own)

    def _fold(self):
        gram = self._buffer[: self._filled].T @ self._buffer[: self._filled]
        self._gram = gram if self._gram is None else np.add(self._gram, gram, out=self._gram)
        self._filled = 0

    def gram(self):
        """On the side of the dimensions [shape=(dim, dim)]."""
        self._fold()
        return self._gram

    def energies(self):
        """Squared singular values [shape=(min(n, dim),)], largest first."""
        if self._gram is None:
            rows = self.rows
            return _eigenvalues(rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows)
        return _eigenvalues(self.gram())


def _spectra(members, dim):
    return {name: _Spectrum(int(member.sum()), dim) for name, member in members.items()}


def _add(spectra, members, part, rows, known=True):
    """Add the rows of the clips of a slice to the spectra of those that they are members of."""
    for name, member in members.items():
        spectra[name].add(rows[member[part] & known])


def _of_originals(t, clips):
    """Energies of the centred originals."""
    spectrum = _Spectrum(len(clips), t.dim)
    parts = directions.blocks(len(clips), t.dim)
    mean = sum((t.originals[clips[part]].sum(axis=0, dtype=np.float64) for part in parts), np.zeros(t.dim))
    for part in parts:
        spectrum.add(t.originals[clips[part]].astype(np.float64) - mean / len(clips))
    return spectrum.energies()


def _eigenvalues(gram):
    """Eigenvalues of a Gram matrix, largest first; those that rounding cannot tell from 0 are 0."""
    values = np.linalg.eigvalsh(gram)[::-1]
    return np.where(values > 1e-14 * max(values[:1], default=0), values, 0)


def _nulls(t, train, members, options, threads):
    """Mean effective rank and mean relative spectrum of directions fitted to shuffled strengths, by instrument."""
    rng = np.random.default_rng((options.seed, 0))
    ranks, shapes = {name: [] for name in members}, {name: [] for name in members}
    size = sum(2 * min(int(member.sum()), t.dim) * t.dim for member in members.values())
    with Strengths(rng, len(train), len(t.values), options.permutations) as strengths:
        for fits in strengths.batches(max(1, _HELD // max(1, size)), first=1):
            shuffles = [_spectra(members, t.dim) for _ in range(fits.start, fits.stop)]
            for part in directions.blocks(len(train), t.dim * len(shuffles), elements=_ELEMENTS):
                own = strengths.of(fits, np.arange(len(train)))[:, part]
                moved = directions.clip_directions(t.vectors, own, clips=train[part], threads=threads)
                for spectra, rows in zip(shuffles, np.nan_to_num(moved), strict=True):  # one may leave a clip without
                    _add(spectra, members, part, rows)
            for spectra in shuffles:
                for name, spectrum in spectra.items():
                    energies = spectrum.energies()
                    ranks[name].append(effective_rank(energies))
                    shapes[name].append(_relative(energies))
    return {name: (np.mean(ranks[name]), np.mean(shapes[name], axis=0)) for name in members}


def _relative(energies):
    """Singular values relative to the first."""
    return np.sqrt(energies / energies[0]) if energies.any() else energies


def _numbers(count, energies, originals, null, interval, options):
    low, high = interval
    return {
        "directions": count,
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


def _without_blocks(spectrum, groups, again):
    """Effective rank of the directions without each block of groups in turn.

    again : callable, from bool [shape=(clips,)] to the directions of these clips
    """
    block, count = jackknife_blocks(groups, _DELETED)
    if count < 2:
        return []
    rows = spectrum.rows
    if rows is not None and len(rows) < rows.shape[1]:
        gram = rows @ rows.T
        grams = (gram[np.ix_(block != deleted, block != deleted)] for deleted in range(count))
    else:
        gram = spectrum.gram()
        parts = (again(block == deleted) for deleted in range(count))
        grams = (gram - part.T @ part for part in parts)
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
    t = data.load(encoder, perturbation, classes=loaded.classes.tags, lazily=True)
    result, spectra = analyse(t, loaded.svd, threads=worker_count(loaded.compute))
    write_table(paths.plots("svd", encoder, perturbation) / "spectrum.csv", spectra)
    write_json(paths.metrics("svd", encoder, perturbation), result)


if __name__ == "__main__":
    main()
