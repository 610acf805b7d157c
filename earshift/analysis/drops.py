"""What the classifiers of all instruments say together: drops, areas between curves, intervals and tests.

Conventions
-----------
The words are those of :mod:`earshift.analysis.robustness`. An instrument counts for a method and a direction where it has
a ROC AUC at the original and at every value, and where the untouched classifier has them too, so that means compare
like with like; the others are named in the notes. All numbers are linear in the ROC AUC of instruments, and a resample
of recordings gives each of them anew.
"""

import numpy as np

from earshift.analysis.data import ORIGINAL
from earshift.analysis.statistics import bootstrap_interval, bootstrap_p, holm, present_mean, with_interval

ROC_AUC = 0  # column of the scores
_BASE, _SHIFT = "none", "conditional_displacement"


def summarised(trajectories, found, tests, lines, confidence):
    """Numbers and tables over all instruments.

    Parameters
    ----------
    trajectories : earshift.analysis.data.Trajectories
    found : dict of dict of earshift.analysis.robustness.Outcome, by instrument and method
    tests : dict of list, by method: the conditions that its scores stand for, in their order
    lines : dict of dict of list, by method and direction: the tests at the original and along the grid
    confidence : float

    Returns
    -------
    dict
        Content of metrics/robustness/ENCODER/PERTURBATION.json.
    pandas.DataFrame
        Curves.
    pandas.DataFrame
        Resampled ROC AUC of the untouched classifier.
    """
    t = trajectories
    skipped = _skipped(found, tests)
    rows = {name: outcomes for name, outcomes in found.items() if name not in skipped}
    curves = {
        method: {direction: _Curves(rows, method, tests[method], line) for direction, line in of_method.items()}
        for method, of_method in lines.items()
    }
    base = curves[_BASE]["forward"]
    sections = {
        method: _section(method, directions, curves[_BASE], rows, tests[method], t.values, confidence)
        for method, directions in curves.items()
    }
    for direction in ("forward", "backward", "matched"):
        compared = [section for method, section in sections.items() if method != _BASE and section[direction]]
        for section, p in zip(compared, holm([s[direction]["p"] for s in compared]), strict=True):
            section[direction]["p_holm"] = p
    result = {
        **t.heading,
        "clips": {"train": len(t.indices("train")), "test": len(t.indices("test")), "invalid": t.invalid},
        "original": with_interval("roc_auc", *base.mean(0), confidence, (0, 1)),
        "methods": sections,
        "skipped": skipped,
        "notes": _notes(t, rows, curves, base, skipped),
    }
    return result, _curve_table(t, rows, curves, confidence), _draw_table(t, base)


class _Curves:
    """ROC AUC at the original and along the grid, of the instruments that have all of it.

    names : list of str
    areas : float64 [shape=(instruments, 1 + values)]
    draws : float64 [shape=(instruments, 1 + values, resamples)]
    """

    def __init__(self, rows, method, tests, line):
        places = [tests.index(test) for test in line]
        areas = {name: outcomes[method].scores[places, ROC_AUC] for name, outcomes in rows.items()}
        self.names = [name for name, area in areas.items() if np.isfinite(area).all()]
        self.areas = np.array([areas[name] for name in self.names]).reshape(-1, len(line))
        draws = [rows[name][method].draws[places] for name in self.names]
        self.draws = np.array(draws, dtype=np.float64).reshape(len(draws), len(line), -1 if draws else 0)

    def __len__(self):
        return len(self.names)

    def among(self, names):
        """These curves for some of the instruments only, as (areas, draws)."""
        places = [self.names.index(name) for name in names]
        return self.areas[places], self.draws[places]

    def mean(self, place):
        """Mean over instruments at one place of the line, and its resamples."""
        if not len(self):
            return float("nan"), None
        return float(self.areas[:, place].mean()), present_mean(self.draws[:, place])


def _skipped(found, tests):
    """Instruments that the untouched classifier has no number for, and why."""
    start = tests[_BASE].index((ORIGINAL, ORIGINAL))
    return {
        name: outcomes[_BASE].notes[start]
        for name, outcomes in found.items()
        if not np.isfinite(outcomes[_BASE].scores[start, ROC_AUC])
    }


def _section(method, directions, base, rows, tests, values, confidence):
    """All numbers of one method."""
    problems = {outcomes[method].notes[0] for outcomes in rows.values()}
    own = directions["forward"]
    removed = [rows[name][method].removed for name in own.names]
    section = {
        "problem": "" if len(own) else "; ".join(sorted(problems)) or "no instrument can be classified",
        "instruments": len(own),
        "removed": float(np.mean(removed)) if removed else None,
        "original": with_interval("roc_auc", *own.mean(0), confidence, (0, 1)),
    }
    for direction in ("forward", "backward", "matched"):
        curves = directions.get(direction)
        against = None if method == _BASE else base[direction]
        section[direction] = _numbers(curves, base["forward"], against, values, confidence) if curves else None
    section["random"] = {
        direction: _random(rows, method, tests, direction) if direction in directions else None
        for direction in ("forward", "backward", "matched")
    }
    return section


def _numbers(curves, untouched, against, values, confidence):
    """Numbers of one direction; the area is that to the curves `against`, None where those are the same."""
    compared = untouched if against is None else against
    names = [name for name in curves.names if name in untouched.names and name in compared.names]
    if not names:
        return None
    areas, draws = curves.among(names)
    start, start_draws = (part[:, :1] for part in untouched.among(names))
    drop, drop_draws = (start - areas[:, 1:]).mean(axis=0), present_mean(start_draws - draws[:, 1:])
    worst = int(np.argmax(drop))
    numbers = {
        **with_interval("mean_auc", areas[:, 1:].mean(), present_mean(draws[:, 1:].mean(axis=1)), confidence, (0, 1)),
        **with_interval("mean_drop", drop.mean(), drop_draws.mean(axis=0), confidence, (-1, 1)),
        **with_interval("worst_drop", drop[worst], drop_draws[worst], confidence, (-1, 1)),
        "worst_value": values[worst],
    }
    if against is None:
        return {**numbers, "area": 0.0, "area_low": None, "area_high": None, "p": None, "p_holm": None}
    other, other_draws = against.among(names)
    step = 1 / (len(values) - 1)
    area = np.trapezoid((areas - other)[:, 1:].mean(axis=0), dx=step)
    area_draws = np.trapezoid(present_mean((draws - other_draws)[:, 1:]), dx=step, axis=0)
    return {
        **numbers,
        **with_interval("area", area, area_draws, confidence, (-1, 1)),
        "p": bootstrap_p(area, area_draws),
        "p_holm": None,
    }


def _random(rows, method, tests, direction):
    """Mean ROC AUC with a random value for each clip."""
    ends = {"forward": (tests[0][0], "random"), "backward": ("random", ORIGINAL), "matched": ("random", "random")}
    place = tests.index(ends[direction])
    areas = [outcomes[method].scores[place, ROC_AUC] for outcomes in rows.values()]
    return float(present_mean(areas)) if areas else None


def _notes(t, rows, curves, base, skipped):
    """What a reader must know about these numbers, one sentence each."""
    notes = []
    if not rows:
        notes.append("No instrument can be classified, so there are no numbers.")
    for name, reason in skipped.items():
        notes.append(f"{name} is left out: {reason}.")
    for method, directions in curves.items():
        complete = set(directions["forward"].names)
        notes += _lacking(rows, method, method, [name for name in rows if name not in complete])
        for direction in [name for name in directions if name != "forward"]:
            names = [name for name in directions["forward"].names if name not in directions[direction].names]
            notes += _lacking(rows, method, f"{method}, {direction},", names)
    if rows and _SHIFT in curves and len(curves[_SHIFT]["forward"]):
        notes.append(
            f"{_SHIFT} moves all clips of a value alike, which leaves their order: forward, ROC AUC is that of none. "
            "What it does shows where values are mixed (random), and in precision, recall and accuracy."
        )
    if len(base) and base.draws.shape[-1] == 0:
        notes.append("No intervals: they take two test recordings.")
    return notes


def _lacking(rows, method, subject, instruments):
    """Notes on the instruments that a method has no numbers for."""
    reasons = {}
    for name in instruments:
        reasons.setdefault(next((note for note in rows[name][method].notes if note), "no score"), []).append(name)
    for reason, names in reasons.items():
        who = "all instruments" if len(names) == len(rows) else ", ".join(names)
        yield f"{subject} has no numbers for {who}: {reason}."


def _curve_table(t, rows, curves, confidence):
    import pandas as pd

    steps = list(zip((ORIGINAL, *t.values), (np.nan, *t.strengths), strict=True))
    parts = []
    for method, directions in curves.items():
        for direction, of_direction in directions.items():
            means = [of_direction.mean(place) for place in range(len(steps))]
            for (value, strength), (mean, draws) in zip(steps, means, strict=True):
                low, high = bootstrap_interval(mean, draws, confidence, bounds=(0, 1))
                parts.append(("all", method, direction, value, strength, mean, low, high))
            for name, areas in zip(of_direction.names, of_direction.areas, strict=True):
                parts += [
                    (name, method, direction, value, strength, area, None, None)
                    for (value, strength), area in zip(steps, areas.tolist(), strict=True)
                ]
    columns = ["instrument", "method", "direction", "value", "strength", "roc_auc", "low", "high"]
    return pd.DataFrame(parts, columns=columns).astype({"low": float, "high": float})


def _draw_table(t, base):
    import pandas as pd

    draws = present_mean(base.draws) if len(base) else np.empty((1 + len(t.values), 0))
    values, resamples = draws.shape
    return pd.DataFrame({
        "draw": np.tile(np.arange(resamples), values),
        "value": np.repeat((ORIGINAL, *t.values), resamples),
        "roc_auc": draws.reshape(-1),
    })  # fmt: skip
