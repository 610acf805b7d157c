"""One instrument against the rest, as the first study classifies it.

Conventions
-----------
Protocol: Deng et al., ICASSP 2025, deem.py. The training set of an instrument is all its training clips followed by
floor(positives / other instruments) clips of every other instrument: 28 of each for 288 positives and ten others; in a
corpus much smaller than the study's, at least one. They are drawn with Python's ``random``, seeded with 42 anew for
each instrument, so that the same positions of every class are drawn under every condition. The model is L2 logistic
regression by liblinear (its intercept is penalised like a weight), classes balanced by weight; C is chosen from
1e-8 .. 1e3 by ROC AUC over three stratified folds that are not shuffled, and the model is fitted again with it. All
test clips are scored, however unbalanced.

Order matters: it decides which clips are drawn and which fold each is in. Classes stand in the order of the study
(:func:`study_order`), the clips of a class in that of the arrays that are handed in: in the study the rows of its split
table, in this project those of clips.csv unless the split table is at hand (:mod:`stages.analyse.published`).

liblinear stops at a tolerance of 1e-4, so its result depends a little on the coordinates. It is run in those of the
vectors, as published. In the row space of the training clips, where the objective is the same, it takes a third to a
half of the time (568 clips of 512 to 2,048 dimensions), and AUCs of weakly regularised models differ by up to 1e-4.

- :func:`training_set`: who is in it
- :func:`fit`: the classifier, or why there is none
- :func:`evaluation`: its scores on a test set
"""

import random
from dataclasses import dataclass

import numpy as np

from stages.analyse.statistics import RESOLUTION

# The order in which the study goes through its instruments (instrument_map.json)
STUDY_INSTRUMENTS = ("clarinet", "organ", "cello", "violin", "guitar_acc", "voice", "guitar_ele", "saxophone",
                     "trumpet", "piano", "flute")  # fmt: skip
SEED = 42
FOLDS = 3
PENALTIES = tuple(10.0**k for k in range(-8, 4))  # C, inverse strength of regularisation


@dataclass(frozen=True)
class Classifier:
    """A linear decision: positive where ``vectors @ weights + intercept`` is above 0.

    weights : float64 [shape=(dim,)], or None where there is no classifier
    intercept : float
    penalty : float, the C that was chosen
    problem : str, why there is no classifier; "" where there is one
    note : str, what to know about it; "" where there is nothing
    """

    weights: np.ndarray | None = None
    intercept: float = float("nan")
    penalty: float = float("nan")
    problem: str = ""
    note: str = ""

    def decision(self, vectors):
        """Signed distance from the decision, up to scale [shape=(clips,)]."""
        return np.asarray(vectors, dtype=np.float64) @ self.weights + self.intercept


def study_order(instruments):
    """Distinct instruments: the study's in its order, then the others in order of appearance."""
    present = dict.fromkeys(np.asarray(instruments).tolist())
    known = [name for name in STUDY_INSTRUMENTS if name in present]
    return known + [name for name in present if name not in STUDY_INSTRUMENTS]


def training_set(instruments, instrument):
    """Positions of the clips that a classifier is trained on, and which of them are positive.

    Parameters
    ----------
    instruments : str [shape=(clips,)], of the training clips, in the order that counts
    instrument : str

    Returns
    -------
    int [shape=(chosen,)]
        The positives, then the negatives, instrument by instrument. Of an instrument with fewer clips than should be
        drawn, all are.
    bool [shape=(chosen,)]
    """
    instruments = np.asarray(instruments)
    positives = np.flatnonzero(instruments == instrument)
    others = [name for name in study_order(instruments) if name != instrument]
    chosen = [positives]
    for name in others:
        own = np.flatnonzero(instruments == name)
        each = min(max(1, len(positives) // len(others)), len(own))
        chosen.append(own[random.Random(SEED).sample(range(len(own)), each)])
    positions = np.concatenate(chosen).astype(np.intp)
    return positions, np.arange(len(positions)) < len(positives)


def fit(vectors, positive, removed=None):
    """Train on vectors, with some directions projected out of them.

    Parameters
    ----------
    vectors : float [shape=(clips, dim)]
    positive : bool [shape=(clips,)]
    removed : float64 [shape=(directions, dim)], orthonormal, or None
        Taken out of the training vectors; the weights that come back are orthogonal to them, so that test vectors are
        scored as they are and give what their projections would.

    Returns
    -------
    Classifier
        Without weights, and with the problem, where a class has fewer clips than there are folds, or where the vectors
        (what is left of them) are alike.
    """
    classes = {"positive": int(np.sum(positive)), "negative": int(np.sum(~positive))}
    for name, count in classes.items():
        if count < FOLDS:
            return Classifier(problem=f"{count} {name} training clips, {FOLDS} folds need {FOLDS}")
    vectors = np.asarray(vectors, dtype=np.float64)
    kept = projected(vectors, removed)
    if np.ptp(kept, axis=0).max() <= RESOLUTION * np.abs(vectors).max():
        left = "once the directions are removed " if removed is not None and len(removed) else ""
        return Classifier(problem=f"{left}all training vectors are alike")
    search = _search().fit(kept, positive)
    model = search.best_estimator_
    return Classifier(
        weights=projected(model.coef_, removed)[0],
        intercept=float(model.intercept_[0]),
        penalty=float(model.C),
        note="" if model.n_iter_.max() < model.max_iter else f"liblinear stopped after {model.max_iter} iterations",
    )


def projected(vectors, removed):
    """Vectors [shape=(clips, dim)] without their components along orthonormal rows ``removed``, which may be None."""
    if removed is None or not len(removed):
        return vectors
    return vectors - (vectors @ removed.T) @ removed


def _search():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    model = LogisticRegression(solver="liblinear", class_weight="balanced", random_state=SEED)
    return GridSearchCV(model, {"C": PENALTIES}, cv=FOLDS, scoring="roc_auc")


def evaluation(classifier, vectors, positive):
    """The scores that the study stores for one test set.

    ROC AUC and average precision rank by probability, as published: probabilities that float64 rounds to 1 tie.

    Parameters
    ----------
    classifier : Classifier
    vectors : float [shape=(clips, dim)]
    positive : bool [shape=(clips,)]

    Returns
    -------
    dict
        roc_auc, average_precision, precision, recall, f1, support (positive clips), accuracy, and problem ("" where all
        could be computed). NaN without a classifier; both rankings are NaN where one class has no test clip.
    """
    names = ("roc_auc", "average_precision", "precision", "recall", "f1", "accuracy")
    scores = dict.fromkeys(names, float("nan")) | {"support": int(np.sum(positive)), "problem": classifier.problem}
    if classifier.problem or not len(positive):
        return scores | {"problem": classifier.problem or "no test clips"}
    from scipy.special import expit
    from sklearn import metrics

    decision = classifier.decision(vectors)
    found = decision > 0
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        positive, found, average="binary", zero_division=0.0
    )
    scores |= {"precision": precision, "recall": recall, "f1": f1, "accuracy": float(np.mean(found == positive))}
    if np.all(positive) or not np.any(positive):
        kind = "negative" if np.all(positive) else "positive"
        return scores | {"problem": f"no {kind} test clips"}
    probability = expit(decision)
    return scores | {
        "roc_auc": float(metrics.roc_auc_score(positive, probability)),
        "average_precision": float(metrics.average_precision_score(positive, probability)),
    }
