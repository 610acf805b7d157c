"""The robustness analysis against the published procedure: ``python -m benchmarks.robustness [ENCODER PERTURBATION]``.

:func:`published` is the procedure of deng2025, written with plain scikit-learn: for every test set the classifier is
trained anew, each by a grid search over twelve costs and three folds in all dimensions (Deng et al., ICASSP 2025,
desensitize_classif.py and deem.py). As in the published code, runs go to one process per core. Ours computes the same
on the same cores: directions, classifiers and scores.

Where regularisation is weak and dimensions are badly conditioned, liblinear's result depends on rounding. To show the
size of this effect, some runs of the published loop are repeated with the dimensions in reverse order.

The embeddings are synthetic, with the sizes of the default run and of the study (for the study one instrument and six
values, because the published loop takes long), or those that the pipeline left on disk.
"""

import itertools
import os
import time

import stages  # noqa: F401
from benchmarks._results import compared as against

# name: (instruments measured, clips of each in training, test clips, values, dim)
SIZES = {
    "default run, 24 dimensions": (3, 12, 44, 6, 24),
    "default run, 1,024 dimensions": (3, 12, 44, 6, 1024),
    "study, 512 dimensions": (1, 288, 1666, 6, 512),
    "study, 1,024 dimensions": (1, 288, 1666, 6, 1024),
    "study, 2,048 dimensions": (1, 288, 1666, 6, 2048),
}
METHODS = ("none", "cca")
INSTRUMENTS = ("clarinet", "organ", "cello", "violin", "guitar_acc", "voice", "guitar_ele", "saxophone", "trumpet",
               "piano", "flute")  # fmt: skip


# ---------------------------------------------------------------------------------------------- the published procedure


def directions(kind, originals, perturbed, reference, threshold):
    """Directions that a published method projects out [shape=(directions, dim)].

    Parameters
    ----------
    kind : str, as in earshift.analysis.desensitise.METHODS
    originals : float64 [shape=(clips, dim)], of the instrument's training clips
    perturbed : float64 [shape=(values, clips, dim)]
    reference : float64 [shape=(components,)], PCA variances of all original training clips
    threshold : float, of samplewise_cca_svd
    """
    import numpy as np
    from sklearn.cross_decomposition import CCA
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    values, clips, dim = perturbed.shape
    stacked = perturbed.reshape(-1, dim)
    ranks = np.arange(values) / (values - 1)
    if kind == "none":
        return np.empty((0, dim))
    if kind == "lda":
        model = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto")
        normal = model.fit(np.concatenate([originals, stacked]), np.arange(len(stacked) + clips) >= clips).coef_
        return normal / np.linalg.norm(normal)
    if kind == "average_displacement":
        line = stacked.mean(axis=0) - originals.mean(axis=0)
        return (line / np.linalg.norm(line))[None]
    if kind in ("pca", "pca_normalised"):
        model = PCA(svd_solver="full").fit((perturbed - originals).reshape(-1, dim))
        variances = model.explained_variance_
        count = min(len(variances), len(reference))
        place = 0 if kind == "pca" else int(np.argmax(variances[:count] / reference[:count]))
        return model.components_[place : place + 1]
    if kind == "cca":
        model = CCA(n_components=1, scale=False).fit(stacked, np.repeat(ranks, clips))
        return model.x_weights_.T
    own = [CCA(n_components=1, scale=False).fit(perturbed[:, i], ranks).x_weights_[:, 0] for i in range(clips)]
    singular, right = np.linalg.svd(np.array(own), full_matrices=False)[1:]
    kept = list(itertools.takewhile(lambda ratio: ratio >= threshold, singular / singular[0]))
    return right[: len(kept)]


def negatives(labels, instrument, count):
    """Rows of the negative training clips, instrument by instrument."""
    import random

    import numpy as np

    others = [name for name in INSTRUMENTS if name != instrument]
    chosen = []
    for name in others:
        random.seed(42)
        rows = np.flatnonzero(labels == name)
        chosen.extend(rows[random.sample(list(range(len(rows))), max(1, count // len(others)))])
    return np.array(chosen)


def roc_auc(train, positive, test, truth):
    """Grid search, refit and ROC AUC of one run."""
    import warnings

    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GridSearchCV

    model = LogisticRegression(solver="liblinear", class_weight="balanced", random_state=42)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of liblinear about convergence
        search = GridSearchCV(model, {"C": [10.0**k for k in range(-8, 4)]}, cv=3, scoring="roc_auc").fit(
            train, positive
        )
    return roc_auc_score(truth, search.predict_proba(test)[:, 1])


def published(experiment, instrument, kind, reference, threshold=None, run=None):
    """ROC AUC of every run of one instrument and method.

    Parameters
    ----------
    experiment : earshift.analysis.robustness.Experiment, for the vectors and for which value each clip has at random
    instrument, kind : str
    reference, threshold : see :func:`directions`
    run : callable, optional
        Takes (name of the run, arguments of :func:`roc_auc`) and may defer it; None: :func:`roc_auc` itself.

    Returns
    -------
    float64 [shape=(directions, dim)]
    dict of (train, test) to what ``run`` returned
    """
    import numpy as np

    t = experiment.trajectories
    train, test = t.indices("train"), t.indices("test")
    labels, truth = t.instrument[train], t.instrument[test] == instrument
    own = np.flatnonzero(labels == instrument)
    chosen = np.concatenate([own, negatives(labels, instrument, len(own))])
    positive = np.arange(len(chosen)) < len(own)
    perturbed = np.moveaxis(t.vectors[train[own]].astype(np.float64), 1, 0)
    removed = directions(kind, t.originals[train[own]].astype(np.float64), perturbed, reference, threshold)
    projector = np.eye(t.dim) - removed.T @ removed
    sets = {}
    for name in experiment.conditions:
        vectors = experiment.vectors(name, train[chosen]), experiment.vectors(name, test)
        sets[name] = [rows.astype(np.float64) @ projector for rows in vectors]
    steps = experiment.conditions[1:]
    runs = [("original", "original")]
    for step in steps:
        runs += [("original", step), (step, "original"), (step, step)]
    run = run or (lambda _, *arguments: roc_auc(*arguments))
    return removed, {
        (first, second): run((first, second), sets[first][0], positive, sets[second][1], truth)
        for first, second in runs
    }


# ------------------------------------------------------------------------------------------------------------- the data


def synthetic(per_instrument, test_clips, values, dim, seed=0):
    """Trajectories of eleven instruments: overlapping classes, an encoder-like spectrum, bent and noisy paths."""
    import numpy as np

    from earshift.analysis.data import Trajectories

    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.repeat(INSTRUMENTS, per_instrument), rng.permutation(
        np.resize(INSTRUMENTS, test_clips))])  # fmt: skip
    count = len(labels)
    spread = np.arange(1, dim + 1) ** -0.6
    basis = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    classes = 6 * rng.normal(size=(len(INSTRUMENTS), dim)) * spread / np.linalg.norm(spread)
    originals = (
        0.2 + ((rng.normal(size=(count, dim)) + classes[[INSTRUMENTS.index(n) for n in labels]]) * spread) @ basis
    )
    strengths = np.arange(1, values + 1)[:, None] / values
    along, bend = rng.normal(size=(2, dim)) * spread @ basis
    amounts, own = rng.uniform(0.5, 2, (count, 1, 1)), (rng.normal(size=(count, dim)) * spread) @ basis
    moved = amounts * strengths * along + strengths**2 * (bend + 0.5 * own[:, None])
    noise = 0.05 * rng.normal(size=(count, values, dim)) * spread.mean()
    names = np.array([f"clip{i:05d}" for i in range(count)])
    return Trajectories(
        encoder="synthetic", perturbation="synthetic", unit="", values=tuple(map(str, range(values))),
        vectors=(10 * (originals[:, None] + moved + noise)).astype(np.float32),
        originals=(10 * originals).astype(np.float32),
        clip=names, group=names, instrument=labels.astype(str),
        split=np.repeat(["train", "test"], [per_instrument * len(INSTRUMENTS), test_clips]), invalid=0,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------- the comparison


def compared(trajectories, instruments, kinds, workers):
    """Both sides on the same data and cores.

    Returns
    -------
    dict
        seconds of both (published, ours), roc_auc (all differences), reversed (those of the published loop from itself
        with the dimensions in reverse, for some runs), cosine (smallest between directions), searches
        (grid searches of the published loop) and classifiers (ours)
    """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from dataclasses import replace

    import numpy as np

    from earshift.analysis import classify, desensitise, robustness
    from earshift.pipeline import config as params
    from earshift.pipeline.compute import mapper

    t = trajectories
    train = t.originals[t.indices("train")]
    options = robustness.Robustness(
        methods=tuple(kinds), svd_threshold=0.4, positives=288, seed=0, bootstrap=1, confidence=0.95
    )
    experiment = robustness.Experiment(t, options)
    wanted = [method for method in experiment.methods if method.kind in kinds]
    compute = params.Compute(workers=workers, scheduler=None, device="cpu", chunk=16, gpu_batch=1)

    def ours():
        start = time.perf_counter()
        found = {name: robustness.outcomes(experiment, name, map=mapper(compute, threads=True)) for name in instruments}
        return time.perf_counter() - start, found

    def theirs():
        start = time.perf_counter()
        reference = _variances(train)
        found, removed = {}, {}
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            list(pool.map(abs, range(workers)))
            for name, method in itertools.product(instruments, wanted):
                removed[name, method.name], runs = published(
                    experiment, name, method.kind, reference, method.threshold,
                    run=lambda _, *arguments: pool.submit(roc_auc, *arguments),
                )  # fmt: skip
                found[name, method.name] = {run: future.result() for run, future in runs.items()}
        return time.perf_counter() - start, found, removed

    def again(reference, areas):
        """Runs of one instrument trained and tested on the same, once more with the dimensions in reverse."""
        reversed_ = replace(t, vectors=t.vectors[..., ::-1], originals=t.originals[:, ::-1])
        backwards, differences = replace(experiment, trajectories=reversed_), []
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork")) as pool:
            for method in wanted:
                _, runs = published(
                    backwards, instruments[0], method.kind, reference, method.threshold,
                    run=lambda name, *sets: pool.submit(roc_auc, *sets) if name[0] == name[1] else None,
                )  # fmt: skip
                own = areas[instruments[0], method.name]
                differences += [abs(future.result() - own[run]) for run, future in runs.items() if future]
        return np.array(differences)

    rng = np.random.default_rng(0)
    classify.fit(rng.normal(size=(12, 3)), np.arange(12) < 6)  # warm up before timing
    their_seconds, reference_areas, removed = theirs()
    our_seconds, found = ours()
    differences, cosines = [], []
    for (name, kind), runs in reference_areas.items():
        method = next(m for m in wanted if m.name == kind)
        areas = dict(zip(experiment.tests(method), found[name][kind].scores[:, 0], strict=True))
        differences += [abs(areas[run] - area) for run, area in runs.items()]
        own = t.indices("train", name)
        clips = desensitise.TrainingClips(t.originals[own], t.vectors[own], desensitise.reference_variances(train))
        mine = desensitise.estimate_removal(clips, method).directions
        if len(mine) == len(removed[name, kind]) > 0:
            cosines.append(np.linalg.svd(mine @ removed[name, kind].T)[1].min())
    return {
        "published": their_seconds,
        "ours": our_seconds,
        "roc_auc": np.array(differences),
        "reversed": again(_variances(train), reference_areas),
        "cosine": min(cosines, default=np.nan),
        "searches": len(differences),
        "classifiers": len(instruments) * experiment.classifiers_of_each,
    }


def _variances(vectors):
    import numpy as np
    from sklearn.decomposition import PCA

    return PCA(svd_solver="full").fit(vectors.astype(np.float64)).explained_variance_


def _line(label, found, workers):
    """Print a comparison, and return it as a row."""
    import numpy as np

    largest, median = (f"{statistic(found['roc_auc']):.1e}" for statistic in (np.max, np.median))
    own_largest, own_median = (f"{statistic(found['reversed']):.1e}" for statistic in (np.max, np.median))
    print(
        f"robustness: {label}: published loop {found['published']:.1f} s ({found['searches']} grid searches, "
        f"{workers} processes), ours {found['ours']:.2f} s ({found['classifiers']} on {workers} threads): "
        f"{found['published'] / found['ours']:.1f} x; ROC AUC differs by at most {largest}, median {median} (the loop "
        f"from itself, dimensions in reverse: {own_largest}, {own_median}); directions: smallest cosine "
        f"1 - {1 - found['cosine']:.1e}",
        flush=True,
    )
    remark = f"ROC AUC differs by {median} (median), the loop from itself by {own_median}"
    return label, "s", found["ours"], found["published"], remark


def main(arguments=()):
    """Print and return the seconds of both sides, their ratio and the difference of the results."""
    import argparse

    from earshift.analysis import classify
    from earshift.pipeline.trajectories import read_trajectories

    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description=__doc__.partition("\n")[0])
    parser.add_argument("encoder", nargs="?", help="whose embeddings on disk are used, with PERTURBATION")
    parser.add_argument("perturbation", nargs="?")
    parser.add_argument("--instruments", type=int, default=3, help="how many, of embeddings on disk")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    given = parser.parse_args(arguments)
    workers = os.cpu_count()
    if given.encoder:
        trajectories = read_trajectories(given.encoder, given.perturbation)
        names = classify.study_order(trajectories.instrument)[: given.instruments]
        found = compared(trajectories, names, given.methods, workers)
        rows = [_line(f"{given.encoder} under {given.perturbation}, {len(names)} instruments", found, workers)]
    else:
        rows = []
        for label, (instruments, *size) in SIZES.items():
            found = compared(synthetic(*size), INSTRUMENTS[:instruments], given.methods, workers)
            rows.append(_line(label, found, workers))
    return [against(rows, f"Methods {', '.join(given.methods)}, against the published loop on {workers} processes")]


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
