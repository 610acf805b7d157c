"""How many directions a perturbation moves clips along.

Conventions
-----------
The unit sample-wise CCA directions of the training clips (:func:`earshift.analysis.directions.clip_directions`) are
stacked and decomposed without centring, beside the mean-centred original vectors of the same clips; both spectra are
relative to their first singular value (the study's notebook 3.5). This is done for every instrument, as in the study,
and over all. A clip of several instruments counts for each, and once over all.

- Energy is s^2, and its shares s^2 / sum s^2 are the eigenvalues of the directions' mean outer product. The effective
  rank is exp of their entropy (:func:`earshift.analysis.statistics.effective_rank` says why s^2 and not s). n
  directions have an effective rank of at most n, so compare it with the number of directions and with the null.
- *null*: directions fitted to strengths shuffled within clips; means over the shuffles.
- *interval* of the effective rank: jackknife over recordings. A bootstrap would draw some recordings twice and others
  never, and repeated rows span fewer directions: it would be biased low. Leaving one recording out at a time is not.

Spectra come from Gram matrices on the smaller side; singular values below 1e-7 of the first are rounding and stand
as 0. Directions are added to them block by block of clips, so memory does not grow with the corpus.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from earshift.analysis import directions
from earshift.analysis.data import ALL, Heading, Number, Trajectories
from earshift.analysis.statistics import Floats, effective_rank, jackknife_blocks, jackknife_interval, rank_at_energy
from earshift.analysis.strengths import Strengths
from earshift.options import Confidence, Interval, Options, Seed
from earshift.protocols import Map, StrPath, serial

if TYPE_CHECKING:
    import pandas as pd

Members = Mapping[str, NDArray[np.bool_]]  # which clips belong to an instrument, and under _EVERY all

_EVERY = ""  # stands for the clips of all instruments, where names of instruments stand
_SHOWN = 50  # relative singular values in the metrics; spectrum.csv has all
_ELEMENTS = 2**22  # numbers of directions computed at a time: 32 MB
_HELD = 2**25  # numbers that the spectra of shuffles hold at a time, unless those of one hold more: 256 MB
_DELETED = 80  # the jackknife leaves out one group at a time, or with more groups than this, as many blocks of groups


@dataclass(frozen=True)
class Svd(Options):
    """``permutations``: shuffles behind the null. ``energy``: the share that ``rank_at_energy`` directions hold."""

    seed: Seed
    permutations: Annotated[int, Interval(ge=1, le=1000)]
    confidence: Confidence
    energy: Annotated[float, Interval(ge=0.01, le=0.9999)]


class Spectra(TypedDict):
    """Directions and originals of one set of clips; spectra are relative to their first singular value."""

    directions: int
    effective_rank: Number
    effective_rank_low: Number
    effective_rank_high: Number
    rank_at_energy: int | None
    null_effective_rank: Number
    originals_effective_rank: Number
    originals_rank_at_energy: int | None
    spectrum: list[Number]
    originals_spectrum: list[Number]


class SvdResult(Heading):
    """Content of metrics/svd/ENCODER/PERTURBATION.json."""

    overall: Spectra
    instruments: dict[str, Spectra]
    notes: list[str]


def analyse(
    trajectories: Trajectories, options: Svd, *, map: Map = serial, scratch: StrPath | None = None
) -> tuple[SvdResult, "pd.DataFrame"]:
    """All numbers and plot data of one encoder under one perturbation.

    Parameters
    ----------
    trajectories : Trajectories
    options : Svd
    map : over blocks of clips; in this process, by threads if at all, because results are written in place
    scratch : folder for what is too large for memory; None: the system's folder for temporary files

    Returns
    -------
    SvdResult
    pandas.DataFrame
        Spectra (instrument, rank, directions, null, originals: relative singular values; directions_energy,
        originals_energy: cumulative), instrument "all" over all.
    """
    t = trajectories
    train, ranks = t.indices("train"), np.arange(len(t.values))
    members = {_EVERY: np.ones(len(train), dtype=bool), **{name: t.members(name)[train] for name in t.instruments}}
    spectra, known = _spectra(members, t.dim), np.empty(len(train), dtype=bool)
    for part in directions.blocks(len(train), t.dim, elements=_ELEMENTS):
        moved = directions.clip_directions(t.vectors, ranks, clips=train[part], map=map)
        known[part] = np.isfinite(moved).all(axis=1)
        _add(spectra, members, part, moved, known[part])
    still, train = t.clip[train[~known]], train[known]
    members = {name: member[known] for name, member in members.items()}
    nulls = _nulls(t, train, members, options, map, scratch)
    numbers: dict[str, Spectra] = {}
    tables = []
    for name, member in members.items():
        own = train[member]

        def again(deleted: NDArray[np.bool_], own: NDArray[np.intp] = own) -> Floats:
            return directions.clip_directions(t.vectors, ranks, clips=own[deleted], map=map)

        energies, originals = spectra[name].energies(), _original_energies(t, own)
        interval = jackknife_interval(
            effective_rank(energies), _without_blocks(spectra[name], t.group[own], again), options.confidence
        )
        numbers[name] = _numbers(len(own), energies, originals, nulls[name], interval, options)
        tables.append(_table(name or ALL, energies, originals, nulls[name]))
    overall = numbers.pop(_EVERY)
    result: SvdResult = {
        **t.heading,
        "overall": overall,
        "instruments": numbers,
        "notes": _notes(t, still, overall, numbers),
    }
    labelled = t.instruments != [ALL]

    import pandas as pd

    return result, pd.concat(tables if labelled else tables[:1], ignore_index=True)


class _Spectrum:
    """Singular values of rows [shape=(n, dim)] that are added block by block, n at most `count`.

    It holds as many rows as dimensions at most; more rows are added to their Gram matrix.
    """

    def __init__(self, count: int, dim: int) -> None:
        self._buffer, self._filled = np.empty((min(count, dim), dim)), 0
        self._gram: Floats | None = None

    @property
    def rows(self) -> Floats | None:
        """All rows, or None where some are only in the Gram matrix."""
        return self._buffer[: self._filled] if self._gram is None else None

    def add(self, rows: Floats) -> None:
        """Add rows [shape=(n, dim)]."""
        while len(rows):
            if self._filled == len(self._buffer):
                self._fold()
            own, rows = np.split(rows, [len(self._buffer) - self._filled])
            self._buffer[self._filled : self._filled + len(own)] = own
            self._filled += len(own)

    def _fold(self) -> Floats:
        gram = self._buffer[: self._filled].T @ self._buffer[: self._filled]
        self._gram = gram if self._gram is None else np.add(self._gram, gram, out=self._gram)
        self._filled = 0
        return self._gram

    def gram(self) -> Floats:
        """On the side of the dimensions [shape=(dim, dim)]."""
        return self._fold()

    def energies(self) -> Floats:
        """Squared singular values [shape=(min(n, dim),)], largest first."""
        rows = self.rows
        if rows is None:
            return _eigenvalues(self.gram())
        return _eigenvalues(rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows)


def _spectra(members: Members, dim: int) -> dict[str, _Spectrum]:
    return {name: _Spectrum(int(member.sum()), dim) for name, member in members.items()}


def _add(
    spectra: Mapping[str, _Spectrum],
    members: Members,
    part: slice,
    rows: Floats,
    known: NDArray[np.bool_] | bool = True,
) -> None:
    """Add the rows of the clips of a slice to the spectra of those that they are members of."""
    for name, member in members.items():
        spectra[name].add(rows[member[part] & known])


def _original_energies(t: Trajectories, clips: NDArray[np.intp]) -> Floats:
    """Energies of the centred originals."""
    spectrum = _Spectrum(len(clips), t.dim)
    parts = directions.blocks(len(clips), t.dim)
    mean = sum((t.originals[clips[part]].sum(axis=0, dtype=np.float64) for part in parts), np.zeros(t.dim))
    for part in parts:
        spectrum.add(t.originals[clips[part]].astype(np.float64) - mean / len(clips))
    return spectrum.energies()


def _eigenvalues(gram: Floats) -> Floats:
    """Eigenvalues of a Gram matrix, largest first; those that rounding cannot tell from 0 are 0."""
    values = np.linalg.eigvalsh(gram)[::-1]
    return np.where(values > 1e-14 * max(values[:1], default=0), values, 0)


def _nulls(
    t: Trajectories, train: NDArray[np.intp], members: Members, options: Svd, map: Map, scratch: StrPath | None
) -> dict[str, tuple[float, Floats]]:
    """Mean effective rank and mean relative spectrum of directions fitted to shuffled strengths, by instrument."""
    rng = np.random.default_rng((options.seed, 0))
    ranks: dict[str, list[float]] = {name: [] for name in members}
    shapes: dict[str, list[Floats]] = {name: [] for name in members}
    size = sum(2 * min(int(member.sum()), t.dim) * t.dim for member in members.values())
    with Strengths(rng, len(train), len(t.values), options.permutations, scratch) as strengths:
        for fits in strengths.batches(max(1, _HELD // max(1, size)), first=1):
            shuffles = [_spectra(members, t.dim) for _ in range(fits.start, fits.stop)]
            for part in directions.blocks(len(train), t.dim * len(shuffles), elements=_ELEMENTS):
                own = strengths.of(fits, np.arange(len(train)))[:, part]
                moved = directions.clip_directions(t.vectors, own, clips=train[part], map=map)
                for spectra, rows in zip(shuffles, np.nan_to_num(moved), strict=True):  # a clip may have none
                    _add(spectra, members, part, rows)
            for spectra in shuffles:
                for name, spectrum in spectra.items():
                    energies = spectrum.energies()
                    ranks[name].append(effective_rank(energies))
                    shapes[name].append(_relative(energies))
    return {name: (float(np.mean(ranks[name])), np.mean(shapes[name], axis=0)) for name in members}


def _relative(energies: Floats) -> Floats:
    """Singular values relative to the first."""
    return np.sqrt(energies / energies[0]) if energies.any() else energies


def _numbers(
    count: int,
    energies: Floats,
    originals: Floats,
    null: tuple[float, Floats],
    interval: tuple[float | None, float | None],
    options: Svd,
) -> Spectra:
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
        "spectrum": _relative(energies)[:_SHOWN].tolist(),
        "originals_spectrum": _relative(originals)[:_SHOWN].tolist(),
    }


def _without_blocks(
    spectrum: _Spectrum, groups: NDArray[np.str_], again: Callable[[NDArray[np.bool_]], Floats]
) -> list[float]:
    """Effective rank of the directions without each block of groups in turn.

    again : callable, from bool [shape=(clips,)] to the directions of these clips
    """
    block, count = jackknife_blocks(groups, _DELETED)
    if count < 2:
        return []
    rows = spectrum.rows
    if rows is not None and len(rows) < rows.shape[1]:
        gram = rows @ rows.T
        grams: Iterator[Floats] = (gram[np.ix_(block != deleted, block != deleted)] for deleted in range(count))
    else:
        gram = spectrum.gram()
        parts = (again(block == deleted) for deleted in range(count))
        grams = (gram - part.T @ part for part in parts)
    return [effective_rank(_eigenvalues(left)) for left in grams]


def _notes(t: Trajectories, still: NDArray[np.str_], overall: Spectra, numbers: Mapping[str, Spectra]) -> list[str]:
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


def _table(name: str, energies: Floats, originals: Floats, null: tuple[float, Floats]) -> "pd.DataFrame":
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


def _cumulative(energies: Floats) -> Floats:
    """Shares of the energy in the first 1, 2, ... directions."""
    return np.cumsum(energies) / energies.sum() if energies.any() else energies
