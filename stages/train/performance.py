"""Stage ``performance``: ``python -m stages.train.performance ENCODER PERTURBATION``.

How well the networks that were trained here do their tasks on test clips, as these are and at every value of a
perturbation.

Conventions
-----------
Scores are those of :mod:`stages.train.tasks`, per clip, on the middle 44,100 samples of what a perturbation leaves; the
reported number is their mean, its interval is from resampled recordings. Separation is judged against the predominant
part as it is, except where a perturbation moves the music itself (``moves_music``: pitch, tempo, gain): there the part
is moved likewise (as in the study, whose references follow pitch and tempo and stay clean under noise and MP3).
"""

import argparse

import numpy as np

from stages import paths, store
from stages.compute import ordered_map
from stages.errors import UserError, command
from stages.params import load
from stages.train.excerpt import middle
from stages.train.run import RECORD
from stages.train.tasks import TASKS

_COLUMNS = ["task", "metric", "value", "strength", "number", "low", "high", "clips"]


@command
def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("encoder")
    parser.add_argument("perturbation")
    arguments = parser.parse_args()
    params = load()
    for kind, name in (("encoders", arguments.encoder), ("perturbations", arguments.perturbation)):
        if name not in getattr(params, kind):
            raise UserError(f"unknown {name!r}; params.yaml configures {', '.join(getattr(params, kind))}")
    result, rows = measured(params, arguments.encoder, arguments.perturbation)
    _write_rows(paths.plots("performance", arguments.encoder, arguments.perturbation) / "curves.csv", rows)
    store.write_json(paths.metrics("performance", arguments.encoder, arguments.perturbation), result)


def measured(params, name, perturbation):
    """All numbers of one encoder under one perturbation.

    Parameters
    ----------
    params : stages.params.Params
    name, perturbation : str

    Returns
    -------
    dict
        Content of metrics/performance/ENCODER/PERTURBATION.json.
    list of tuple
        Rows of curves.csv: task, metric, value, strength, number, low, high, clips.
    """
    from stages.perturb.recipe import written

    record = store.read_json(paths.model(name) / RECORD)
    if record is None:
        raise UserError(f"{paths.model(name) / RECORD} is missing; `dvc repro train@{name}` writes it")
    recipes = written(perturbation)
    kind = params.perturbations[perturbation]
    result = {
        "encoder": name,
        "perturbation": perturbation,
        "unit": kind.unit,
        "values": [recipe.value for recipe, _ in recipes],
        "tasks": {},
    }
    rows = []
    for task in record["tasks"]:
        result["tasks"][task], of_task = _of_task(params, name, task, record, recipes)
        rows += of_task
    return result, rows


def _of_task(params, name, task, record, recipes):
    from stages.train import vgg

    encoder, about = params.encoders[name], record["tasks"][task]
    data = vgg.Data(params, task, encoder.trial, about["outputs"])
    network = vgg.opened(params, name, task, record)
    switches = vgg.switches(params)
    places = data.material.places("test")
    groups = data.material.clips["group"].to_numpy(dtype=str)[places]
    metric = TASKS[task].metric

    def number(audio):
        found = _scores(task, network, data, places, audio, switches, params.training.batch)
        return _with_interval(found, groups, params.training)

    original = number(data.audio(places))
    rows = []
    strengths = recipes[0][0].perturbation.strengths()
    for recipe, fingerprint in recipes:
        shown = number(_perturbed(params, data, places, recipe, fingerprint))
        rows.append((task, metric, recipe.value, strengths[recipe.value], *shown))
    of_task = {
        "metric": metric,
        "better": TASKS[task].better,
        "original": original[0],
        "original_low": original[1],
        "original_high": original[2],
        "baseline": about["baseline"],
        "clips": original[3],
        "mean": float(np.nanmean([row[4] for row in rows])) if rows else float("nan"),
    }
    return of_task, rows


def _scores(task, network, data, places, audio, switches, size):
    from stages.train import loop, tasks

    with loop.threads(data.threads):
        return np.concatenate(
            [
                tasks.scores(task, network, data.batch(places[i : i + size], audio[i : i + size]), switches)
                for i in range(0, len(places), size)
            ]
        )


def _perturbed(params, data, places, recipe, fingerprint):
    """Excerpts of the test clips at one value, float32 [shape=(clips, 1 or 2, 44100)]."""
    rows = data.material.clips["row"].to_numpy()[places]
    own = paths.kept_audio(recipe.perturbation.name, recipe.value, fingerprint)
    kept = data.is_own and store.read_fingerprint(own) == fingerprint
    if recipe.ordered and not kept:
        mixtures = _in_order(data.packed(), recipe, rows)
    else:
        audio = (own, None) if kept else (data.packed(), recipe)
        mixtures = ordered_map(_excerpt, ((*audio, int(row)) for row in rows), params.compute, threads=True)
    if not data.task.stems:
        return np.stack(list(mixtures))[:, None]
    stems = _stems(data, rows, recipe if recipe.perturbation.moves_music else None, params)
    return np.stack([np.stack(pair) for pair in zip(mixtures, stems, strict=True)])


def _in_order(packed, recipe, rows):
    """Excerpts of some clips, all of which must pass the effect one after another."""
    processor, wanted = recipe.processor(), set(rows.tolist())
    with store.AudioReader(packed) as reader:
        for row, (audio, rate) in enumerate(reader):
            made = processor(audio, rate) if audio.size else audio
            if row in wanted:
                yield middle(made, rate)


def _excerpt(packed, recipe, row):
    with store.AudioReader(packed) as reader:
        audio, rate = reader[row]
    return middle(recipe.processor()(audio, rate) if recipe else audio, rate)


def _stems(data, rows, recipe, params):
    """The predominant parts of some clips, moved by a recipe or as they are."""
    tasks = ((data.material.audio, recipe, int(row)) for row in rows)
    return ordered_map(_stem, tasks, params.compute, threads=True)


def _stem(packed, recipe, row):
    with store.AudioReader(packed) as reader:
        audio, rate = reader[row]
    stem = audio[1:2]
    return middle(recipe.processor()(stem, rate) if recipe else stem, rate)


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


def _write_rows(path, rows):
    """curves.csv; written without pandas, for most encoders have no task and it would only hold its heading."""
    text = "\n".join([",".join(_COLUMNS), *(",".join(_cell(cell) for cell in row) for row in rows)])
    with store.replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _cell(cell):
    if isinstance(cell, float):
        return "" if np.isnan(cell) else f"{cell:.6g}"
    return str(cell)


if __name__ == "__main__":
    main()
