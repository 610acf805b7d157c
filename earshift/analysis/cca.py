"""How well one direction orders the strengths of a perturbation.

Conventions
-----------
R2 is a squared Spearman correlation between strength and the projection of vectors on a CCA direction
(:mod:`earshift.analysis.directions`), as in the study's notebooks 3.1 and 3.3; it is no share of variance.

- *global*: one direction per instrument, fitted on the points of all its training clips, not centred by clip. The
  overall number is the mean over instruments.
- *pooled*: one direction for the clips of all instruments, taken as one. A clip of several instruments counts once.
- *sample-wise*: one direction per training clip, from its own points; the mean over clips, each once.

Each comes four ways.

- *published*: in-sample, on the points the direction was fitted to. For a clip with no more values than dimensions, and
  for an instrument with no more points, the fit interpolates and this is 1 whatever the encoder does.
- *held-out*: global and pooled directions are scored on the test clips, which come from other recordings. They are
  fitted with a ridge penalty, ``cca.ridge`` times the square of the largest singular value. The published fit has none;
  with about as many points as dimensions it depends more on the size of the corpus than on the encoder (its held-out
  score is *heldout_unregularised*). Within a clip the direction is fitted, without penalty, to every other value
  (ranks 0, 2, 4, ...) and scored on the rest, and the other way round. Scores are
  :func:`earshift.analysis.statistics.signed_square`, so that noise gives 0 on average and not something above.
- *null*: the same on strengths shuffled within clips, training and test alike: mean and 95th percentile. For the halves
  of a clip strengths are shuffled within each half, so that the halves stay what they are.
- *interval*: bootstrap over recordings, directions fixed: test recordings for the held-out number of global and pooled
  directions, training recordings for the others (:func:`earshift.analysis.statistics.bootstrap_interval`).

A clip whose vectors do not move with strength has no sample-wise direction; it is counted and left out of the mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from earshift.analysis import directions
from earshift.analysis.data import Heading, Number, Trajectories
from earshift.analysis.samplewise import SHORTEST, clipwise_scores, zero_without_direction
from earshift.analysis.stacked import Fit, draw_correlations, score_stacked
from earshift.analysis.statistics import (
    Floats,
    group_bootstrap,
    present_mean,
    signed_square,
    with_interval,
)
from earshift.analysis.strengths import Strengths
from earshift.analysis.words import count_and_name
from earshift.options import Confidence, Count, Interval, Options, Seed
from earshift.protocols import StrPath

if TYPE_CHECKING:
    import pandas as pd

_FITS = 257  # strengths, true or shuffled, fitted at a time, so that memory does not grow with their number
_EVERY = ""  # stands for the clips of all instruments, where names of instruments stand
_NOISIEST = 1.5  # points within this factor of dimensions are where an unregularised fit is at its noisiest


@dataclass(frozen=True)
class Cca(Options):
    """``ridge``: penalty of held-out directions, relative to the square of the largest singular value.

    ``permutations``: shuffles behind the null. ``bootstrap``: resamples behind the interval.
    """

    ridge: Annotated[float, Interval(ge=0, le=10)]
    seed: Seed
    permutations: Annotated[int, Interval(ge=1, le=100_000)]
    bootstrap: Count
    confidence: Confidence


class R2(TypedDict):
    """The four ways of one number, see the module's conventions; None where one does not exist."""

    published: Number
    published_low: Number
    published_high: Number
    published_null_mean: Number
    published_null_p95: Number
    heldout: Number
    heldout_low: Number
    heldout_high: Number
    null_mean: Number
    null_p95: Number


class DirectionR2(R2):
    """R2 of one direction for many clips. ``heldout_unregularised``: of the published direction itself."""

    heldout_unregularised: Number


class CcaClips(TypedDict):
    """Numbers of clips. ``no_direction``: training clips that do not move with strength."""

    train: int
    test: int
    invalid: int
    no_direction: int


_Global = TypedDict("_Global", {"global": DirectionR2})  # a keyword of Python


class InstrumentCca(_Global):
    """One instrument. ``rows``: training clips x values, the points that its direction is fitted to."""

    samplewise: R2
    train_clips: int
    test_clips: int
    rows: int


class _Counted(Heading):
    clips: CcaClips


class CcaResult(_Counted, _Global):
    """Content of metrics/cca/ENCODER/PERTURBATION.json."""

    pooled: DirectionR2
    samplewise: R2
    instruments: dict[str, InstrumentCca]
    notes: list[str]


@dataclass(frozen=True)
class _Scores:
    """R2 on true strengths, shuffled strengths and resamples; NaN where there is none.

    published, heldout : float [shape=(1 + shuffles,)], the true strengths first
    published_draws, heldout_draws : float [shape=(resamples,)], or None with fewer than two groups
    unregularised : float, held-out R2 of the published direction itself; NaN where that is the same
    """

    published: Floats
    heldout: Floats
    published_draws: Floats | None
    heldout_draws: Floats | None
    unregularised: float = float("nan")

    def r2(self, confidence: float) -> R2:
        """The numbers as the metrics hold them."""
        published = with_interval("r2", self.published[0], self.published_draws, confidence, (0, 1))
        heldout = with_interval("r2", self.heldout[0], self.heldout_draws, confidence, (-1, 1))
        return {
            "published": published["r2"],
            "published_low": published["r2_low"],
            "published_high": published["r2_high"],
            "published_null_mean": float(self.published[1:].mean()),
            "published_null_p95": float(np.quantile(self.published[1:], 0.95)),
            "heldout": heldout["r2"],
            "heldout_low": heldout["r2_low"],
            "heldout_high": heldout["r2_high"],
            "null_mean": float(self.heldout[1:].mean()),
            "null_p95": float(np.quantile(self.heldout[1:], 0.95)),
        }

    def direction_r2(self, confidence: float) -> DirectionR2:
        """The same of a direction for many clips."""
        return {**self.r2(confidence), "heldout_unregularised": self.unregularised}


def analyse(
    trajectories: Trajectories, options: Cca, *, scratch: StrPath | None = None
) -> tuple[CcaResult, "pd.DataFrame", "pd.DataFrame"]:
    """All numbers and plot data of one encoder under one perturbation.

    Parameters
    ----------
    trajectories : Trajectories
    options : Cca
    scratch : folder for what is too large for memory; None: the system's folder for temporary files

    Returns
    -------
    CcaResult
        ``["global"]["heldout"]`` is the held-out R2.
    pandas.DataFrame
        Projections on the global direction of each instrument (instrument, clip, split, value, strength, projection),
        relative to the mean of the points that it was fitted to.
    pandas.DataFrame
        Sample-wise R2 of every training clip (clip, instrument, published, heldout).
    """
    t, confidence = trajectories, options.confidence
    train = t.indices("train")
    fits, single, pooled = _stacked(t, options, scratch)
    members = {_EVERY: np.ones(len(train), dtype=bool), **{name: t.members(name)[train] for name in fits}}
    published, heldout, nulls = clipwise_scores(t, train, members, permutations=options.permutations, seed=options.seed)
    samplewise = {
        name: _over_clips(published[chosen], heldout[chosen], nulls[name], t.group[train[chosen]], options)
        for name, chosen in members.items()
    }

    instruments: dict[str, InstrumentCca] = {
        name: {
            "global": _own_intervals(single[name], t, fit).direction_r2(confidence),
            "samplewise": samplewise[name].r2(confidence),
            "train_clips": len(fit.train),
            "test_clips": len(fit.test),
            "rows": len(fit.train) * len(t.values),
        }
        for name, fit in fits.items()
    }
    unmoved = t.clip[train[np.isnan(published)]].tolist()
    result: CcaResult = {
        **t.heading,
        "clips": {
            "train": len(train),
            "test": len(t.indices("test")),
            "invalid": t.invalid,
            "no_direction": len(unmoved),
        },
        "global": _mean(list(single.values())).direction_r2(confidence),
        "pooled": pooled.direction_r2(confidence),
        "samplewise": samplewise[_EVERY].r2(confidence),
        "instruments": instruments,
        "notes": _notes(t, fits, unmoved),
    }
    return result, _scatter(t, fits), _clip_table(t, train, published, heldout)


# ------------------------------------------------------------------------------------------------- global and pooled


def _stacked(
    t: Trajectories, options: Cca, scratch: StrPath | None
) -> tuple[dict[str, Fit], dict[str, _Scores], _Scores]:
    """The :class:`Fit` of each instrument, its :class:`_Scores`, and those of the pooled direction."""
    clips = {name: (t.indices("train", name), t.indices("test", name)) for name in t.instruments}
    clips[_EVERY] = (t.indices("train"), t.indices("test"))
    fits: dict[str, Fit] = {}
    plain: dict[str, float] = {}
    published: dict[str, list[Floats]] = {name: [] for name in clips}
    heldout: dict[str, list[Floats]] = {name: [] for name in clips}
    rng = np.random.default_rng((options.seed, 0))
    with Strengths(rng, len(t.clip), len(t.values), options.permutations, scratch) as strengths:
        for batch in strengths.batches(_FITS):
            for name, (own, tested) in clips.items():
                mean, (weights, ridged) = directions.stacked_weights(
                    t.vectors, own, strengths.of(batch, own), ridges=(0.0, options.ridge)
                )
                rho, seen = score_stacked(t, own, mean, weights, strengths.of(batch, own), scratch)
                published[name].append(rho**2)
                rho, unseen = score_stacked(t, tested, mean, ridged, strengths.of(batch, tested), scratch)
                heldout[name].append(signed_square(rho))
                if name not in fits:
                    truth = strengths.of(slice(0, 1), tested)
                    rho, _ = score_stacked(t, tested, mean, weights[:, :1], truth, scratch)
                    plain[name] = float(signed_square(rho)[0])
                    fits[name] = Fit(own, tested, mean, weights[:, 0], seen, unseen)
    rng = np.random.default_rng((options.seed, 1))
    published_draws = draw_correlations(
        rng, t, clips[_EVERY][0], [(f.train, f.seen) for f in fits.values()], options.bootstrap
    )
    heldout_draws = draw_correlations(
        rng, t, clips[_EVERY][1], [(f.test, f.unseen) for f in fits.values()], options.bootstrap
    )
    scores = {
        name: _Scores(
            published=zero_without_direction(np.concatenate(published[name])),
            heldout=zero_without_direction(np.concatenate(heldout[name])),
            published_draws=None if published_draws is None else published_draws[:, i] ** 2,
            heldout_draws=None if heldout_draws is None else signed_square(heldout_draws[:, i]),
            unregularised=plain[name],
        )
        for i, name in enumerate(clips)
    }
    pooled = scores.pop(_EVERY)
    fits.pop(_EVERY)
    return fits, scores, pooled


def _own_intervals(scores: _Scores, t: Trajectories, fit: Fit) -> _Scores:
    """Scores of one instrument; with a single group of its own it has no interval."""
    several = [len(np.unique(t.group[clips])) > 1 for clips in (fit.train, fit.test)]
    return replace(
        scores,
        published_draws=scores.published_draws if several[0] else None,
        heldout_draws=scores.heldout_draws if several[1] else None,
    )


def _mean(scores: Sequence[_Scores]) -> _Scores:
    """Mean over instruments of those that have a number; shuffle by shuffle and resample by resample."""
    return _Scores(
        published=present_mean([s.published for s in scores]),
        heldout=present_mean([s.heldout for s in scores]),
        published_draws=_mean_draws([s.published_draws for s in scores]),
        heldout_draws=_mean_draws([s.heldout_draws for s in scores]),
        unregularised=float(present_mean([s.unregularised for s in scores])),
    )


def _mean_draws(draws: Sequence[Floats | None]) -> Floats | None:
    """Means resample by resample; None where there are no resamples, which is so for all instruments alike."""
    known = [each for each in draws if each is not None]
    return present_mean(known) if known else None


def _over_clips(published: Floats, heldout: Floats, nulls: Floats, groups: NDArray[np.str_], options: Cca) -> _Scores:
    """Scores over clips, each counting the same; `nulls` are means over them on shuffled strengths."""
    moving = ~np.isnan(published)
    both = np.stack([published, heldout])

    def means(counts: NDArray[np.int64]) -> Floats:
        weights = counts.astype(np.float64)
        total = weights.sum(axis=1)
        return weights @ both[:, moving].T / np.where(total > 0, total, np.nan)[:, None]

    draws = None
    if moving.any():
        draws = group_bootstrap(np.random.default_rng((options.seed, 4)), groups[moving], options.bootstrap, means)
    means_of = np.concatenate([present_mean(both.T)[:, None], nulls], axis=1)
    return _Scores(
        published=means_of[0],
        heldout=signed_square(means_of[1]),
        published_draws=None if draws is None else draws[:, 0],
        heldout_draws=None if draws is None else signed_square(draws[:, 1]),
    )


# -------------------------------------------------------------------------------------------------------------- output


def _notes(t: Trajectories, fits: Mapping[str, Fit], unmoved: Sequence[str]) -> list[str]:
    """What a reader must know about these numbers, one sentence each."""
    values, dim = len(t.values), t.dim
    notes = []
    if values - 1 <= dim:
        notes.append(
            f"Sample-wise published R2 is 1 by construction: a clip has {values} points, and a direction in {dim} "
            "dimensions fits any strengths of so few. Compare held-out with null."
        )
    if values < SHORTEST:
        notes.append(f"No sample-wise held-out R2: it takes {SHORTEST} values, the grid has {values}.")
    exact = [name for name, fit in fits.items() if len(fit.train) * values - 1 <= dim]
    if exact:
        notes.append(
            f"Global published R2 is 1 by construction for {count_and_name(exact, 'instrument')}: no more points "
            f"(training clips x {values} values) than dimensions ({dim})."
        )
    points = {f"the direction of {name}": len(fit.train) * values for name, fit in fits.items()}
    if len(fits) > 1:
        points["the pooled direction"] = len(t.indices("train")) * values
    noisy = [name for name, rows in points.items() if dim / _NOISIEST <= rows <= dim * _NOISIEST]
    if noisy:
        notes.append(
            f"{count_and_name(noisy, 'fit')}: about as many points as dimensions ({dim}), where an unregularised fit "
            "is at its noisiest; heldout_unregularised depends more on the corpus size than on the encoder there."
        )
    missing = [name for name, fit in fits.items() if not len(fit.test)]
    if missing:
        notes.append(f"No global held-out R2 for {count_and_name(missing, 'instrument')}: no valid test clips.")
    still = [name for name, fit in fits.items() if np.isnan(fit.weights).any()]
    if still:
        notes.append(
            f"No global direction for {count_and_name(still, 'instrument')}: vectors do not move with strength."
        )
    unknown = _without_direction(t, fits)
    if unknown:
        notes.append(f"Test clips of {unknown} count for the pooled direction only.")
    alone = [s for s in ("train", "test") if len(np.unique(t.group[t.split == s])) == 1]
    if alone:
        notes.append(f"No interval over {' and '.join(alone)} groups: there is one.")
    if unmoved:
        notes.append(f"No direction for {count_and_name(unmoved, 'clip')}: vectors do not move with strength.")
    return notes


def _without_direction(t: Trajectories, fits: Mapping[str, Fit]) -> str:
    """Instruments of test clips that belong to none with a direction, in words; "" without such clips."""
    if t.tagged is None:
        names = np.setdiff1d(t.instrument[t.split == "test"], list(fits)).tolist()
        return count_and_name(names, "instrument") if names else ""
    known = np.any([t.members(name) for name in fits], axis=0)
    return "none of the instruments" if (~known[t.split == "test"]).any() else ""


def _scatter(t: Trajectories, fits: Mapping[str, Fit]) -> "pd.DataFrame":
    import pandas as pd

    tables = []
    for name, fit in fits.items():
        clips = np.concatenate([fit.train, fit.test])
        projected = directions.projections(t.vectors, clips, fit.mean, directions.unit(fit.weights)[:, None])[0]
        tables.append(
            pd.DataFrame(
                {
                    "instrument": name,
                    "clip": np.repeat(t.clip[clips], len(t.values)),
                    "split": np.repeat(t.split[clips], len(t.values)),
                    "value": np.tile(t.values, len(clips)),
                    "strength": np.tile(t.strengths, len(clips)),
                    "projection": projected.reshape(-1),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def _clip_table(t: Trajectories, train: NDArray[np.intp], published: Floats, heldout: Floats) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(
        {
            "clip": t.clip[train],
            "instrument": t.instrument[train],
            "published": published,
            "heldout": signed_square(heldout),
        }
    )
