"""How well one direction tells the strength of a perturbation: ``python -m stages.cca ENCODER PERTURBATION``.

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
  fitted with a ridge penalty, ``cca.ridge`` times the square of the largest singular value: the published fit has none,
  and with about as many points as dimensions it says more about the size of the corpus than about the encoder (what it
  scores is *heldout_unregularised*). Within a clip the direction is fitted, without penalty, to every other value
  (ranks 0, 2, 4, ...) and scored on the rest, and the other way round. Scores are
  :func:`earshift.analysis.statistics.signed_square`, so that noise gives 0 on average and not something above.
- *null*: the same on strengths shuffled within clips, training and test alike: mean and 95th percentile. For the halves
  of a clip strengths are shuffled within each half, so that the halves stay what they are.
- *interval*: bootstrap over recordings, directions fixed: test recordings for the held-out number of global and pooled
  directions, training recordings for the others (:func:`earshift.analysis.statistics.bootstrap_interval`).

A clip whose vectors do not move with strength has no sample-wise direction; it is counted and left out of the mean.
"""

from dataclasses import dataclass, replace

import numpy as np

from earshift.analysis import data, directions
from earshift.analysis.statistics import (
    NEGLIGIBLE,
    group_bootstrap,
    present_mean,
    resampled_spearman,
    signed_square,
    spearman,
    with_interval,
)
from earshift.analysis.strengths import Strengths
from earshift.pipeline import config as params
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.storage.files import write_json, write_table
from earshift.storage.scratch import Spilled

_FITS = 257  # strengths, true or shuffled, fitted at a time, so that memory does not grow with their number
_ELEMENTS = 2**21  # numbers of all points held at a time, so that it does not grow with the clips
_SHORTEST = 4  # values that the halves of a clip need: two to fit, two to score
_NOISIEST = 1.5  # points within this factor of dimensions are where an unregularised fit is at its noisiest
_NAMED = 5  # clips or instruments that a note names


@dataclass(frozen=True)
class _Scores:
    """R2 on true strengths, shuffled strengths and resamples; NaN where there is none.

    published, heldout : float [shape=(1 + shuffles,)], the true strengths first
    published_draws, heldout_draws : float [shape=(resamples,)], or None with fewer than two groups
    unregularised : float, held-out R2 of the published direction itself, or None where that is the same
    """

    published: np.ndarray
    heldout: np.ndarray
    published_draws: np.ndarray | None
    heldout_draws: np.ndarray | None
    unregularised: float | None = None

    def summary(self, confidence):
        """The numbers as they stand in the metrics."""
        return {
            **with_interval("published", self.published[0], self.published_draws, confidence, (0, 1)),
            **{f"published_{name}": number for name, number in _null(self.published).items()},
            **with_interval("heldout", self.heldout[0], self.heldout_draws, confidence, (-1, 1)),
            **_null(self.heldout),
            **({} if self.unregularised is None else {"heldout_unregularised": self.unregularised}),
        }


@dataclass(frozen=True)
class _Fit:
    """One direction over many clips.

    train, test : int, positions of its clips
    mean, weights : float64 [shape=(dim,)], see :mod:`earshift.analysis.directions`
    seen : float64 [shape=(clips, values)], projections of the training clips on these weights
    unseen : float64 [shape=(clips, values)], projections of the test clips on the ridged ones
    """

    train: np.ndarray
    test: np.ndarray
    mean: np.ndarray
    weights: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray


def analyse(trajectories, options):
    """All numbers and plot data of one encoder under one perturbation.

    Parameters
    ----------
    trajectories : earshift.analysis.data.Trajectories
    options : earshift.pipeline.config.Cca

    Returns
    -------
    dict
        Content of metrics/cca/ENCODER/PERTURBATION.json.
    pandas.DataFrame
        Projections on the global direction of each instrument (instrument, clip, split, value, strength, projection),
        relative to the mean of the points that it was fitted to.
    pandas.DataFrame
        Sample-wise R2 of every training clip (clip, instrument, published, heldout).
    """
    t, confidence = trajectories, options.confidence
    train = t.indices("train")
    fits, single, pooled = _stacked(t, options)
    members = {None: np.ones(len(train), dtype=bool), **{name: t.members(name)[train] for name in fits}}
    published, heldout, nulls = _clipwise(t, train, members, options)
    samplewise = {
        name: _over_clips(published[chosen], heldout[chosen], nulls[name], t.group[train[chosen]], options)
        for name, chosen in members.items()
    }

    instruments = {
        name: {
            "global": _own_intervals(single[name], t, fit).summary(confidence),
            "samplewise": samplewise[name].summary(confidence),
            "train_clips": len(fit.train),
            "test_clips": len(fit.test),
            "rows": len(fit.train) * len(t.values),
        }
        for name, fit in fits.items()
    }
    unmoved = t.clip[train[np.isnan(published)]].tolist()
    result = {
        **t.heading,
        "clips": {
            "train": len(train),
            "test": len(t.indices("test")),
            "invalid": t.invalid,
            "no_direction": len(unmoved),
        },
        "global": _mean(list(single.values())).summary(confidence),
        "pooled": pooled.summary(confidence),
        "samplewise": samplewise[None].summary(confidence),
        "instruments": instruments,
        "notes": _notes(t, fits, unmoved),
    }
    return result, _scatter(t, fits), _clip_table(t, train, published, heldout)


# ------------------------------------------------------------------------------------------------- global and pooled


def _stacked(t, options):
    """The :class:`_Fit` of each instrument, its :class:`_Scores`, and those of the pooled direction."""
    clips = {name: (t.indices("train", name), t.indices("test", name)) for name in t.instruments}
    clips[None] = (t.indices("train"), t.indices("test"))
    fits, plain, published, heldout = {}, {}, {name: [] for name in clips}, {name: [] for name in clips}
    rng = np.random.default_rng((options.seed, 0))
    with Strengths(rng, len(t.clip), len(t.values), options.permutations) as strengths:
        for batch in strengths.batches(_FITS):
            for name, (own, tested) in clips.items():
                mean, (weights, ridged) = directions.stacked_weights(
                    t.vectors, own, strengths.of(batch, own), ridges=(0.0, options.ridge)
                )
                rho, seen = _scored(t, own, mean, weights, strengths.of(batch, own))
                published[name].append(rho**2)
                rho, unseen = _scored(t, tested, mean, ridged, strengths.of(batch, tested))
                heldout[name].append(signed_square(rho))
                if name not in fits:
                    rho, _ = _scored(t, tested, mean, weights[:, :1], strengths.of(slice(0, 1), tested))
                    plain[name] = float(signed_square(rho[0]))
                    fits[name] = _Fit(own, tested, mean, weights[:, 0], seen, unseen)
    rng = np.random.default_rng((options.seed, 1))
    published_draws = _draws(rng, t, clips[None][0], [(f.train, f.seen) for f in fits.values()], options.bootstrap)
    heldout_draws = _draws(rng, t, clips[None][1], [(f.test, f.unseen) for f in fits.values()], options.bootstrap)
    scores = {
        name: _Scores(
            published=_nulled(np.concatenate(published[name])),
            heldout=_nulled(np.concatenate(heldout[name])),
            published_draws=None if published_draws is None else published_draws[:, i] ** 2,
            heldout_draws=None if heldout_draws is None else signed_square(heldout_draws[:, i]),
            unregularised=plain[name],
        )
        for i, name in enumerate(clips)
    }
    pooled = scores.pop(None)
    fits.pop(None)
    return fits, scores, pooled


def _scored(t, clips, mean, weights, strengths):
    """Spearman's correlations [shape=(fits,)] of strengths and projections over the points of `clips`, NaN without any.

    And the projections of the first fit [shape=(clips, values)].
    """
    fits, count, values = strengths.shape
    if count == 0:
        return np.full(fits, np.nan), np.empty((0, values))
    rho, points = np.empty(fits), count * values
    with Spilled(fits, points, np.float64) as projected:
        for part in directions.blocks(count, values * max(t.dim, fits)):
            block = directions.projections(t.vectors, clips[part], mean, weights)
            projected.write(0, part.start * values, block.reshape(fits, -1))
        step = max(1, _ELEMENTS // points)
        for start in range(0, fits, step):
            rows = slice(start, min(start + step, fits))
            truth = strengths[rows, :].reshape(-1, points)
            rho[rows] = spearman(projected.read(rows, slice(0, points)), truth)
        return rho, projected.read(slice(0, 1), slice(0, points)).reshape(count, values).copy()


def _draws(rng, t, clips, scored, resamples):
    """Correlations on resampled groups of `clips`, one column for each of (positions, projections) in `scored`."""
    ranks = np.arange(len(t.values))
    columns = []
    for positions, projections in scored:
        known = len(positions) and np.isfinite(projections).all()
        columns.append((np.searchsorted(clips, positions), resampled_spearman(projections, ranks) if known else None))

    def correlations(counts):
        return np.stack(
            [np.full(len(counts), np.nan) if rho is None else rho(counts[:, places]) for places, rho in columns], axis=1
        )

    return group_bootstrap(rng, t.group[clips], resamples, correlations)


def _own_intervals(scores, t, fit):
    """Scores of one instrument; with a single group of its own it has no interval."""
    several = [len(np.unique(t.group[clips])) > 1 for clips in (fit.train, fit.test)]
    return replace(
        scores,
        published_draws=scores.published_draws if several[0] else None,
        heldout_draws=scores.heldout_draws if several[1] else None,
    )


def _mean(scores):
    """Mean over instruments of those that have a number; shuffle by shuffle and resample by resample."""
    return _Scores(
        published=present_mean([s.published for s in scores]),
        heldout=present_mean([s.heldout for s in scores]),
        published_draws=present_mean([s.published_draws for s in scores]),
        heldout_draws=present_mean([s.heldout_draws for s in scores]),
        unregularised=float(present_mean([[s.unregularised] for s in scores])[0]),
    )


# --------------------------------------------------------------------------------------------------------- sample-wise


def _clipwise(t, train, members, options):
    """In-sample R2 and held-out correlation of every training clip, and their means on shuffled strengths.

    Parameters
    ----------
    members : dict of name to bool [shape=(clips,)]

    Returns
    -------
    published, heldout : float64 [shape=(clips,)], NaN where the clip has none
    nulls : dict of name to float64 [shape=(2, shuffles)], means of either over the members that have one
    """
    count, values = len(train), len(t.values)
    truth = np.full((2, count), np.nan)
    sums = {name: np.zeros((2, options.permutations)) for name in members}
    known = {name: np.zeros((2, options.permutations), dtype=int) for name in members}
    whole, split = (np.random.default_rng((options.seed, stream)) for stream in (2, 3))
    for part in directions.blocks(count, values * max(t.dim, options.permutations)):
        found = np.stack(_block_of_clips(t.vectors[train[part]], whole, split, options))
        truth[:, part] = found[..., 0]
        for name, member in members.items():
            own = found[:, member[part], 1:]
            sums[name] += np.nansum(own, axis=1)
            known[name] += np.isfinite(own).sum(axis=1)
    nulls = {name: np.where(known[name] > 0, sums[name] / np.maximum(known[name], 1), np.nan) for name in members}
    return *truth, nulls


def _block_of_clips(vectors, whole, split, options):
    """Published R2 and held-out correlation [shape=(clips, 1 + shuffles)] of some clips, the true strengths first."""
    count, values, _ = vectors.shape
    strengths = _clip_strengths(count, values, whole, options.permutations, [np.arange(values)])
    fitted = _projected(vectors, vectors, strengths)
    published = _nulled(spearman(fitted, strengths) ** 2)
    explained = np.linalg.norm(fitted[:, 0], axis=1)
    still = ~(explained > NEGLIGIBLE * np.linalg.norm(np.arange(values) - (values - 1) / 2))
    published[still] = np.nan
    if values < _SHORTEST:
        return published, np.full_like(published, np.nan)
    halves = [np.arange(first, values, 2) for first in (0, 1)]
    strengths = _clip_strengths(count, values, split, options.permutations, halves)
    rho = 0
    for fit, score in (halves, halves[::-1]):
        unseen = _projected(vectors[:, fit], vectors[:, score], strengths[..., fit])
        rho = rho + np.nan_to_num(spearman(unseen, strengths[..., score])) / 2  # a half that is still tells nothing
    # Leaving out single values instead would not do: without any signal the fit to the others, whose mean then lies
    # on the other side of the one left out, predicts the wrong side, and noise would score below 0.
    return published, np.where(still[:, None], np.nan, rho)


def _clip_strengths(clips, values, rng, permutations, parts):
    """Ranks [shape=(clips, 1 + permutations, values)]: the true ones, then shuffled within each of `parts`."""
    strengths = np.empty((clips, 1 + permutations, values), dtype=np.int16)
    strengths[:] = np.arange(values)
    for part in parts:
        strengths[:, 1:, part] = rng.permuted(strengths[:, 1:, part], axis=-1)
    return strengths


def _projected(fitted, scored, strengths):
    """Projections of scored points [shape=(clips, fits, points)] on the directions fitted to others' strengths."""
    predictions = directions.clip_predictions(fitted, scored)
    return (strengths - strengths.mean(axis=-1, keepdims=True)) @ np.swapaxes(predictions, 1, 2)


def _over_clips(published, heldout, nulls, groups, options):
    """Scores over clips, each counting the same; `nulls` are means over them on shuffled strengths."""
    moving = ~np.isnan(published)
    both = np.stack([published, heldout])

    def means(counts):
        weights = counts.astype(np.float64)
        return weights @ both[:, moving].T / np.where(weights.any(axis=1), weights.sum(axis=1), np.nan)[:, None]

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


# ------------------------------------------------------------------------------------------------------------- numbers


def _nulled(scores):
    """Scores [shape=(..., 1 + shuffles)], 0 for a shuffle without a direction, all NaN where the truth has none."""
    known = ~np.isnan(scores[..., :1])
    return np.where(known & np.isnan(scores), 0, np.where(known, scores, np.nan))


def _null(scores):
    return {"null_mean": float(scores[1:].mean()), "null_p95": float(np.quantile(scores[1:], 0.95))}


# -------------------------------------------------------------------------------------------------------------- output


def _notes(t, fits, unmoved):
    """What a reader must know about these numbers, one sentence each."""
    values, dim = len(t.values), t.dim
    notes = []
    if values - 1 <= dim:
        notes.append(
            f"Sample-wise published R2 is 1 by construction: a clip has {values} points, and a direction in {dim} "
            "dimensions meets any strengths of so few. Held-out against null tells what it is worth."
        )
    if values < _SHORTEST:
        notes.append(f"No sample-wise held-out R2: it takes {_SHORTEST} values, the grid has {values}.")
    exact = [name for name, fit in fits.items() if len(fit.train) * values - 1 <= dim]
    if exact:
        notes.append(
            f"Global published R2 is 1 by construction for {_named(exact, 'instrument')}: no more points "
            f"(training clips x {values} values) than dimensions ({dim})."
        )
    points = {f"the direction of {name}": len(fit.train) * values for name, fit in fits.items()}
    if len(fits) > 1:
        points["the pooled direction"] = len(t.indices("train")) * values
    noisy = [name for name, rows in points.items() if dim / _NOISIEST <= rows <= dim * _NOISIEST]
    if noisy:
        notes.append(
            f"{_named(noisy, 'fit')}: about as many points as dimensions ({dim}), where an unregularised fit is at its "
            "noisiest; heldout_unregularised says more about the corpus size than about the encoder there."
        )
    missing = [name for name, fit in fits.items() if not len(fit.test)]
    if missing:
        notes.append(f"No global held-out R2 for {_named(missing, 'instrument')}: no valid test clips.")
    still = [name for name, fit in fits.items() if np.isnan(fit.weights).any()]
    if still:
        notes.append(f"No global direction for {_named(still, 'instrument')}: vectors do not move with strength.")
    strangers = _strangers(t, fits)
    if strangers:
        notes.append(f"Test clips of {strangers} count for the pooled direction only.")
    alone = [s for s in ("train", "test") if len(np.unique(t.group[t.split == s])) == 1]
    if alone:
        notes.append(f"No interval over {' and '.join(alone)} groups: there is one.")
    if unmoved:
        notes.append(f"No direction for {_named(unmoved, 'clip')}: vectors do not move with strength.")
    return notes


def _strangers(t, fits):
    """Instruments of test clips that belong to none with a direction, in words; "" without such clips."""
    if t.tagged is None:
        names = np.setdiff1d(t.instrument[t.split == "test"], list(fits)).tolist()
        return _named(names, "instrument") if names else ""
    known = np.any([t.members(name) for name in fits], axis=0)
    return "none of the instruments" if (~known[t.split == "test"]).any() else ""


def _named(names, kind):
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return f"{len(names)} {kind}{'s' if len(names) > 1 else ''} ({shown})"


def _scatter(t, fits):
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


def _clip_table(t, train, published, heldout):
    import pandas as pd

    return pd.DataFrame(
        {
            "clip": t.clip[train],
            "instrument": t.instrument[train],
            "published": published,
            "heldout": signed_square(heldout),
        }
    )


@command
def main(arguments=None):
    """Write metrics and plot data of one encoder under one perturbation."""
    encoder, perturbation = data.arguments("cca", __doc__.partition("\n")[0], arguments)
    loaded = params.load()
    t = data.load(encoder, perturbation, classes=loaded.classes.tags, lazily=True)
    result, scatter, clips = analyse(t, loaded.cca)
    folder = paths.plots("cca", encoder, perturbation)
    write_table(folder / "scatter.csv", scatter)
    write_table(folder / "samplewise_r2.csv", clips)
    write_json(paths.metrics("cca", encoder, perturbation), result)


if __name__ == "__main__":
    main()
