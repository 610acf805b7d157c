"""Trains the streams of the second study, each alone, and the linear model on all of them.

Conventions
-----------
A stream's network is kept beside the pipeline under all that determines it (paths.network), so the combination, which
needs all four, and the streams' own stages train each only once, whoever comes first. The Neuralogram's own network is
trained before it, on pieces of 100 ms, then frozen.
"""

import shutil
from dataclasses import asdict
from importlib import import_module

import numpy as np

from earshift.pipeline import paths
from earshift.pipeline.compute import torch_device
from earshift.storage.files import read_json, replacing, write_json, write_table
from earshift.storage.hashes import digest
from earshift.storage.provenance import fingerprint, source_sha256, versions
from earshift.training.data import TESTED, TRAINED, VALID
from earshift.training.kim2019.training import read_arrays, write_arrays, write_history
from earshift.training.verma2023 import combination, losses, scores, streams
from earshift.training.verma2023.features import CODE, LOG_MEL, chunked, features

TAGGING = "tagging"
MOBILENET = "mobilenet"
LINEAR = "linear."  # before the names of the linear model's arrays
_TOP = 5
_NOT_OF_NETWORKS = ("networks", "costs", "bootstrap", "confidence", "threads")


def trained(params, name, task, folder, before):
    """The network of one stream, or of all of them with the linear model, trained where it is not yet.

    Parameters
    ----------
    params : earshift.pipeline.config.Params
    name : str, encoder
    task : str, TAGGING
    folder : pathlib.Path, data/models/ENCODER
    before : dict or None, what an earlier run returned

    Returns
    -------
    dict
        What model.json says, see :func:`earshift.training.kim2019.training.trained`.
    """
    encoder = params.encoders[name]
    data = chunked(params, encoder.trial)
    made = {stream: _stream(params, data, stream, encoder.trial) for stream in encoder.streams}
    if len(made) > 1:
        return _combined(params, data, made, folder, before)
    ((arrays, about),) = made.values()
    shutil.copyfile(arrays, folder / f"{task}.npz")
    shutil.copyfile(arrays.with_suffix(".csv"), folder / f"{task}.csv")
    return about


def evaluated(params, name, task, about, recipes):
    """How well the streams do, see :func:`earshift.training.kim2019.training.evaluated`; the metric is mAP over the tags."""
    from earshift.training.verma2023 import evaluation

    arrays = read_arrays(paths.model(name) / f"{task}.npz")
    original, shown = evaluation.evaluated(params, name, about, arrays, recipes)
    return {"metric": "map", "better": "higher", "baseline": about["baseline"]}, original, shown


# ------------------------------------------------------------------------------------------------------------- streams


def _stream(params, data, stream, trial):
    """Path of the arrays of a stream's network, and what is known about it."""
    from earshift.training import loop

    key = _key(params, data, stream, trial)
    path = paths.network(key)
    about = read_json(path.with_suffix(".json"))
    if about and path.is_file() and digest(path) == about["sha256"]:
        print(f"train {stream}: reused, {about['epochs']} epochs")
        return path, about
    device = torch_device(params.compute.device)
    mobilenet, known = None, ""
    if stream == streams.NEURALOGRAM:
        mobilenet_path, of_mobilenet = _mobilenet(params, data, trial)
        mobilenet, known = _opened_mobilenet(params, mobilenet_path, len(data.tags)), of_mobilenet["sha256"]
        mobilenet.to(device)
    heard = features(params, data, stream, mobilenet, known)
    loop.seeded(params.diverse.seed, 5, trial, streams.STREAMS.index(stream))
    statistics = None
    if streams.has_statistics(stream):
        statistics = _statistics(heard, data.places(TRAINED))
    network = streams.network(stream, len(data.tags), params.diverse.networks, statistics=statistics).to(device)
    outcome = _fitted(params, data, heard, network, key, f"train {stream}", params.diverse.epochs, trial)
    found = _outputs(network, heard, data.places(TESTED), params)
    report = _report(params, data, found) | ({"mobilenet": known} if known else {})
    whole = network
    if mobilenet is not None:
        from torch import nn

        whole = nn.ModuleDict({MOBILENET: mobilenet, "stream": network})
    return path, _kept(path, whole, outcome, data, key, report, network)


def _mobilenet(params, data, trial):
    """The Neuralogram's own network, as :func:`_stream`."""
    from earshift.training import loop
    from earshift.training.verma2023 import neuralogram

    key = _key(params, data, MOBILENET, trial)
    path = paths.network(key)
    about = read_json(path.with_suffix(".json"))
    if about and path.is_file() and digest(path) == about["sha256"]:
        return path, about
    heard = features(params, data, LOG_MEL)
    loop.seeded(params.diverse.seed, 5, trial, len(streams.STREAMS))
    network = neuralogram.mobilenet(len(data.tags), params.diverse.networks.mobilenet)
    network = network.to(torch_device(params.compute.device))
    outcome = _fitted(
        params, data, heard, network, key, "train mobilenet", params.diverse.mobilenet_epochs, trial, pieces=True
    )
    return path, _kept(path, network, outcome, data, key, None, network)


def _opened_mobilenet(params, path, classes):
    from earshift.training.verma2023 import neuralogram

    network = neuralogram.mobilenet(classes, params.diverse.networks.mobilenet)
    network.load_state_dict(read_arrays(path))
    return network.eval()


def _key(params, data, what, trial):
    options = {k: v for k, v in asdict(params.diverse).items() if k not in _NOT_OF_NETWORKS}
    networks = asdict(params.diverse.networks)
    own = {streams.TIMBRE: ("timbre",), streams.END_TO_END: ("filters",), streams.NEURALOGRAM: ("mobilenet",)}
    kept = ("mobilenet",) if what == MOBILENET else ("transformer", *own.get(what, ()))
    own_code = [f"earshift.training.verma2023.{name}" for name in ("streams", "transformer", "losses")]
    code = [*CODE, "earshift.training.loop", *own_code]
    return fingerprint(
        what=what, options=options, networks={k: networks[k] for k in kept}, trial=trial, data=data.material.digest,
        threads=params.diverse.threads, tags=data.tags, code=source_sha256(*map(import_module, code)),
        packages=versions("torch", "numpy", "scipy", "soxr"),
    )  # fmt: skip


def _statistics(heard, places):
    """Mean and deviation of a stream's features over the training chunks."""
    from earshift.training.verma2023 import transformer

    class Some:
        """The training chunks of a file, read in slices like an array."""

        shape = (len(places), *heard.shape[1:])

        def __len__(self):
            return len(places)

        def __getitem__(self, cut):
            return heard[places[cut]]

    return transformer.statistics_of(Some())


def _fitted(params, data, heard, network, key, label, epochs, trial, *, pieces=False):
    import torch

    from earshift.training import loop
    from earshift.training.verma2023 import transformer

    options, device = params.diverse, torch_device(params.compute.device)

    def batches(part, rng):
        places = data.places(part)
        places = rng.permutation(places) if part == TRAINED else places
        for some in np.array_split(places, -(-len(places) // options.batch)):
            order = np.sort(some)  # reading forward is quicker, and within a batch order does not matter
            yield (
                torch.from_numpy(np.ascontiguousarray(heard[order])).to(device),
                torch.from_numpy(data.targets[data.clip[order]]).to(device),
            )

    def loss(made, batch):
        inputs, targets = batch
        if pieces:
            targets = targets.repeat_interleave(inputs.shape[1], dim=0)
            inputs = inputs.flatten(0, 1)
        return losses.loss_of(made(inputs), targets, options.loss), len(batch[0])

    schedule = loop.Schedule(
        epochs=epochs, patience=options.patience, learning_rate=options.learning_rate,
        final_learning_rate=options.final_learning_rate, weight_decay=options.weight_decay, amsgrad=False,
        seed=options.seed + trial, threads=options.threads, mixed_precision=options.mixed_precision,
    )  # fmt: skip
    print(f"{label}: {transformer.parameter_count(network):,} parameters (the study: about 4 million)")
    return loop.fit(network, batches, loss, schedule, fingerprint=key, device=device, label=label,
                    examples=len(data.places(TRAINED)))  # fmt: skip


def _kept(path, network, outcome, data, key, report, counted):
    """Keep a trained network under its name; what is known about it."""
    from earshift.training import loop
    from earshift.training.verma2023 import transformer

    write_arrays(path, network)
    write_history(path.with_suffix(".csv"), outcome)
    about = {
        "fingerprint": key,
        "outputs": data.tags,
        "clips": {part: int((data.material.part == part).sum()) for part in (TRAINED, VALID, TESTED)},
        "parameters": transformer.parameter_count(counted),
        "epochs": len(outcome.history),
        "best": outcome.best,
        "ended": outcome.ended,
        "baseline": _chance(data),
        "sha256": digest(path),
        **(report or {}),
    }
    write_json(path.with_suffix(".json"), about)
    loop.forget(key)
    return about


def _chance(data):
    """Mean average precision of a constant: the mean share of test clips that a tag of theirs holds for."""
    share = data.targets[data.material.places(TESTED)].mean(axis=0)
    return float(share[share > 0].mean()) if (share > 0).any() else float("nan")


# -------------------------------------------------------------------------------------------------------------- scores


def _in_batches(function, heard, places, params):
    """What a network makes of chunks, float32 [shape=(chunks, numbers)]."""
    import torch

    from earshift.training import loop

    device = torch_device(params.compute.device)
    found = []
    with loop.threads(params.diverse.threads), torch.inference_mode():
        for some in np.array_split(places, max(-(-len(places) // 256), 1)):
            inputs = torch.from_numpy(np.ascontiguousarray(heard[some])).to(device)
            found.append(function(inputs).float().cpu().numpy())
    return np.concatenate(found)


def _outputs(network, heard, places, params):
    """Scores of chunks, float32 [shape=(chunks, tags)]."""
    network.eval()
    return _in_batches(lambda x: losses.scores_of(network(x), params.diverse.loss), heard, places, params)


def _report(params, data, chunk_scores):
    """mAP of clips and top-5 accuracy of chunks on the test set, with intervals over recordings."""
    clips, member = data.clips(TESTED)
    targets = data.targets[clips]
    options = params.diverse
    groups = data.material.clips["group"].to_numpy(dtype=str)[clips]
    return measured(chunk_scores, member, targets, groups, options)


def measured(chunk_scores, member, targets, groups, options):
    """Numbers of some clips from the scores of their chunks.

    Parameters
    ----------
    chunk_scores : float [shape=(chunks, tags)]
    member : int [shape=(chunks,)], the clip of each
    targets : bool [shape=(clips, tags)]
    groups : str [shape=(clips,)]
    options : earshift.training.verma2023.options.Diverse

    Returns
    -------
    dict
        map, map_low, map_high, top5, top5_low, top5_high, top5_recall
    """
    of_clips = scores.clip_scores(chunk_scores, member, len(targets))
    counts = scores.resampled_counts(np.random.default_rng(options.seed), groups, options.bootstrap)
    mean = float(scores.mean_average_precision(scores.average_precisions(of_clips, targets)))
    any_hit, recall = scores.hits(chunk_scores, targets[member], k=_TOP)
    top = float(np.nanmean(any_hit))
    of_map = of_top = None
    if counts is not None:
        of_map = scores.mean_average_precision(scores.average_precisions(of_clips, targets, counts))
        of_top = scores.mean_over_chunks(any_hit, member, counts)
    map_low, map_high = scores.interval(mean, of_map, options.confidence)
    top_low, top_high = scores.interval(top, of_top, options.confidence)
    return {
        "map": mean, "map_low": map_low, "map_high": map_high, "top5": top, "top5_low": top_low,
        "top5_high": top_high, "top5_recall": float(np.nanmean(recall)),
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------- combination


def _combined(params, data, made, folder, before):
    """The linear model on the embeddings of all streams, and of every subset of them."""
    import pandas as pd

    key = fingerprint(
        streams={stream: about["sha256"] for stream, (_, about) in made.items()},
        options=[*params.diverse.costs, params.diverse.seed, params.diverse.bootstrap, params.diverse.confidence],
        code=source_sha256(combination, scores, trained),
    )
    arrays = folder / f"{TAGGING}.npz"
    extra = ["subsets.csv", "classes.csv"]
    whole = arrays.is_file() and all((folder / name).is_file() for name in extra)
    if whole and before and before.get("fingerprint") == key and digest(arrays) == before["sha256"]:
        print("train combination: reused")
        return before
    embedded = {stream: _embeddings(params, data, stream, path) for stream, (path, _) in made.items()}
    parts = {part: data.places(part) for part in (TRAINED, VALID, TESTED)}
    rows, classes, model, report = [], [], None, None
    clips, member = data.clips(TESTED)
    for subset in combination.subsets(tuple(made)):
        vectors = combination.side_by_side(embedded, subset)
        model = _best(params, data, vectors, parts)
        found = model.scores(vectors[parts[TESTED]])
        report = _report(params, data, found)
        rows.append({"subset": "+".join(subset), "streams": len(subset), **report, "chance_map": _chance(data),
                     "clips": len(clips), "chunks": len(member)})  # fmt: skip
        if len(subset) in (1, len(made)):
            precision = scores.average_precisions(scores.clip_scores(found, member, len(clips)), data.targets[clips])
            for tag, number, positives in zip(data.tags, precision, data.targets[clips].sum(axis=0), strict=True):
                classes.append({"subset": "+".join(subset), "tag": tag, "positives": int(positives),
                                "average_precision": number})  # fmt: skip
    write_table(folder / extra[0], pd.DataFrame(rows))
    write_table(folder / extra[1], pd.DataFrame(classes))
    _write_combination(arrays, made, model)
    best = rows[-1]
    print(f"train combination: mAP {best['map']:.3f} on all streams, "
          + ", ".join(f"{row['subset']} {row['map']:.3f}" for row in rows[: len(made)]))  # fmt: skip
    of_streams = [about for _, about in made.values()]
    return {
        "fingerprint": key,
        "outputs": data.tags,
        "clips": of_streams[0]["clips"],
        "parameters": sum(about["parameters"] for about in of_streams),
        "epochs": max(about["epochs"] for about in of_streams),
        "best": None,
        "ended": "fitted",
        "baseline": _chance(data),
        "sha256": digest(arrays),
        **report,
        "files": extra,
    }


def _embeddings(params, data, stream, path):
    """A stream's embeddings of all chunks, float32 [shape=(chunks, width)]."""

    network, mobilenet = opened_stream(read_arrays(path), stream, len(data.tags), params.diverse.networks)
    device = torch_device(params.compute.device)
    network.to(device)
    known = ""
    if mobilenet is not None:
        mobilenet.to(device)
        known = read_json(path.with_suffix(".json"))["mobilenet"]
    heard = features(params, data, stream, mobilenet, known)
    return _in_batches(network.embedding, heard, np.arange(len(data.clip)), params)


def opened_stream(arrays, stream, classes, networks):
    """Networks of a stream with their weights, ready to be asked.

    Parameters
    ----------
    arrays : dict of str to tensor
    stream : one of earshift.training.verma2023.streams.STREAMS
    classes : int
    networks : earshift.training.verma2023.streams.Networks

    Returns
    -------
    torch.nn.Module
    torch.nn.Module or None, the Neuralogram's own network
    """
    from earshift.training.verma2023 import neuralogram

    made, mobilenet = streams.network(stream, classes, networks, statistics=_blank(stream, networks)), None
    if stream == streams.NEURALOGRAM:
        mobilenet = neuralogram.mobilenet(classes, networks.mobilenet)
        mobilenet.load_state_dict(below(arrays, f"{MOBILENET}."))
        mobilenet.eval()
        arrays = below(arrays, "stream.")
    made.load_state_dict(arrays)
    return made.eval(), mobilenet


def _blank(stream, networks):
    """Statistics that weights replace."""
    if not streams.has_statistics(stream):
        return None
    numbers = streams.shape(stream, networks)[1][-1]
    return np.zeros(numbers), np.ones(numbers)


def below(arrays, prefix):
    """Arrays whose names begin so, by what follows."""
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def _best(params, data, vectors, parts):
    """The linear model whose cost does best on validation clips."""
    clips, member = data.clips(VALID)
    training = vectors[parts[TRAINED]], data.targets[data.clip[parts[TRAINED]]]
    models = [combination.fitted(*training, cost=cost) for cost in params.diverse.costs]
    if len(models) == 1:
        return models[0]

    def on_validation(model):
        of_clips = scores.clip_scores(model.scores(vectors[parts[VALID]]), member, len(clips))
        found = scores.mean_average_precision(scores.average_precisions(of_clips, data.targets[clips]))
        return found if np.isfinite(found) else -1.0

    return max(models, key=on_validation)


def _write_combination(path, made, model):
    """Networks of all streams, and the linear model on them, in one file."""
    arrays = {f"{LINEAR}{name}": array for name, array in vars(model).items()}
    for stream, (own, _) in made.items():
        with np.load(own, allow_pickle=False) as found:
            arrays |= {f"{stream}.{name}": found[name] for name in found.files}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **dict(sorted(arrays.items())))
