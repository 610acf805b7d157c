"""Trains the networks of the third study: VGG-like encoders with a task each, and heads above MFCC."""

from dataclasses import asdict

import numpy as np

from earshift.corpora.base import TAG_SEPARATOR
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.compute import torch_device
from earshift.pipeline.corpus_audio import corpus_audio
from earshift.storage.files import replacing, write_table
from earshift.storage.hashes import digest
from earshift.storage.packed_audio import AudioReader
from earshift.storage.provenance import fingerprint, source_sha256, versions
from earshift.training.data import TESTED, TRAINED, VALID, material, source_of
from earshift.training.excerpt import SAMPLES, centre, crop
from earshift.training.kim2019.tasks import AUTOTAGGING, INSTRUMENTS, TASKS

_STANDARDS = 512  # training clips, at most, that the standardisation is taken from


def trained(params, name, task, folder, before):
    """The network of one task, trained where it is not yet.

    Parameters
    ----------
    params : earshift.pipeline.config.Params
    name : str, encoder
    task : str
    folder : pathlib.Path, data/models/ENCODER
    before : dict or None, what an earlier run returned

    Returns
    -------
    dict
        What model.json says: fingerprint, outputs (names of classes or tags), clips by part, number of parameters,
        epochs, the best one, how training ended, the trivial answer's score on the test clips, sha256 of the arrays.

    Raises
    ------
    UserError
        If the data do not suffice, or training diverges at once.
    """
    from earshift.training import loop
    from earshift.training.kim2019 import networks

    encoder = params.encoders[name]
    data = Data(params, task, encoder.trial)
    key = fingerprint(
        task=task, network=encoder.network, channels=encoder.channels, trial=encoder.trial, data=data.material.digest,
        training={k: v for k, v in asdict(params.training).items() if k not in TASKS and k not in _ELSEWHERE},
        own=asdict(getattr(params.training, task)), switches=_of_networks(switches(params)), outputs=data.outputs,
        code=source_sha256(networks, loop, trained), packages=versions("torch", "numpy", "soxr"),
    )  # fmt: skip
    arrays, label = folder / f"{task}.npz", f"train {name} {task}"
    if before and before.get("fingerprint") == key and arrays.is_file() and digest(arrays) == before["sha256"]:
        print(f"{label}: reused, {before['epochs']} epochs")
        return before
    device = data.device
    loop.seeded(params.training.seed, 4, encoder.trial)
    network = built(params, encoder, task, len(data.outputs))
    networks.standardise(network.spectrogram, data.tensor(data.audio(data.standards())[:, 0]).cpu())
    network.to(device)
    own = getattr(params.training, task)
    outcome = loop.fit(
        network, data.batches, _loss(task, params), _schedule(params.training, own, encoder.trial), fingerprint=key,
        device=device, label=label, examples=int((data.material.part == TRAINED).sum()),
    )  # fmt: skip
    write_arrays(arrays, network)
    write_history(folder / f"{task}.csv", outcome)
    about = {
        "fingerprint": key,
        "outputs": data.outputs,
        "clips": {part: int((data.material.part == part).sum()) for part in (TRAINED, VALID, TESTED)},
        "parameters": networks.parameter_count(network),
        "epochs": len(outcome.history),
        "best": outcome.best,
        "ended": outcome.ended,
        "baseline": _baseline(task, data, network, switches(params)),
        "sha256": digest(arrays),
    }
    loop.forget(key)
    return about


# What of `training` does not reach the networks
_ELSEWHERE = ("bootstrap", "confidence", "references_apart", "unpool_places", "linear_mfcc_target", "two_sided_mask")


def _of_networks(switched):
    """The accidents that reach the networks: how references are moved does not."""
    return {name: on for name, on in switched.items() if name != "references_apart"}


def _loss(task, params):
    from earshift.training.kim2019 import tasks

    return tasks.loss(task, switches(params))


def switches(params):
    """The accidents of the published networks that are on."""
    return params.training.switches(params.fidelity)


def built(params, encoder, task, outputs):
    """A network with fresh weights.

    Parameters
    ----------
    params : earshift.pipeline.config.Params
    encoder : earshift.encoders.base.Encoder with network, channels
    task : str
    outputs : int, classes or tags, 0 where there are none
    """
    from earshift.training.kim2019 import networks

    return networks.Network(
        encoder.network,
        outputs=outputs,
        channels=encoder.channels,
        dropout=params.training.dropout,
        grow="places" if switches(params)["unpool_places"] else "repeat",
        skips=TASKS[task].stems,
    )


def _schedule(training, own, trial):
    from earshift.training import loop

    return loop.Schedule(
        epochs=own.epochs, patience=training.patience, learning_rate=training.learning_rate,
        final_learning_rate=training.final_learning_rate, weight_decay=training.weight_decay, amsgrad=True,
        seed=training.seed + trial, threads=training.threads, mixed_precision=training.mixed_precision,
    )  # fmt: skip


def write_arrays(path, network):
    """All arrays of a network as an uncompressed .npz; equal networks give equal bytes."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{name: tensor.cpu().numpy() for name, tensor in sorted(network.state_dict().items())})


def write_history(path, outcome):
    """Losses by epoch."""
    import pandas as pd

    write_table(path, pd.DataFrame(outcome.history))


def read_arrays(path):
    """Arrays of a network that :func:`write_arrays` wrote, as tensors by name."""
    import torch

    if not path.is_file():
        raise UserError(f"{path} is missing; `dvc repro train@{path.parent.name}` trains it, `dvc pull` fetches it")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


class Data:
    """The clips of a task, and batches of them.

    Parameters
    ----------
    params : earshift.pipeline.config.Params
    task : str
    trial : int
    outputs : list of str or None
        Tags or labels in the order of a network's outputs; None takes them from the training clips.

    Raises
    ------
    UserError
        If the corpus lacks what the task needs.
    """

    def __init__(self, params, task, trial, outputs=None):
        self.task, self._params = TASKS[task], params
        own = getattr(params.training, task)
        self.material = material(params, own.corpus, params.training, trial=trial, stems=self.task.stems)
        self.outputs = self._outputs(own) if outputs is None else list(outputs)
        self.device, self.threads = torch_device(params.compute.device), params.training.threads
        self._corpus = source_of(params, own.corpus)
        clips = self.material.clips
        places = {label: place for place, label in enumerate(self.outputs)}
        self._labels = np.array([places.get(label, -1) for label in clips["label"]], dtype=np.int64)
        self._tags = self.material.tag_table(self.outputs).astype(np.float32)

    def _outputs(self, own):
        from collections import Counter

        clips = self.material.clips.iloc[self.material.places(TRAINED)]
        where = f"training.{self.task.name}.corpus"
        if self.task.name == INSTRUMENTS:
            found = sorted(set(clips["label"]) - {""})
            if len(found) < 2:
                raise UserError(
                    f"instruments need clips of at least two labels, the training clips have {len(found)}; name a "
                    f"corpus with labels in {where}"
                )
            return found
        if self.task.name == AUTOTAGGING:
            counts = Counter(tag for tags in clips["tags"] for tag in tags.split(TAG_SEPARATOR) if tag)
            telling = [tag for tag, count in counts.items() if count < len(clips)]
            found = sorted(sorted(telling, key=lambda tag: (-counts[tag], tag))[: own.tags])
            if len(found) < 2:
                raise UserError(
                    f"autotagging needs at least two tags that hold for some clips and not for others, the training "
                    f"clips have {len(found)}; name a corpus with tags in {where}"
                )
            return found
        return []

    @property
    def is_own(self):
        """Whether these are the clips of the pipeline, whose effected audio may have been kept."""
        return self._corpus is self._params.corpus

    def packed(self):
        """The clips as the corpus has them, at their own rate and with all channels."""
        if self.is_own:
            return corpus_audio(self._params)
        return self.material.whole

    def standards(self):
        """Places of the training clips that the standardisation is taken from, evenly spread."""
        places = self.material.places(TRAINED)
        count = min(len(places), _STANDARDS)
        return places[np.arange(count) * len(places) // count]

    def audio(self, places, rng=None):
        """Excerpts of 44,100 samples: from the middle, or from anywhere where `rng` is given.

        Returns
        -------
        float32 [shape=(clips, 1 or 2, 44100)]: the mixture, and the predominant part
        """
        with AudioReader(self.material.audio) as reader:
            rows = self.material.clips["row"].to_numpy()
            whole = (reader[int(rows[place])][0] for place in places)
            return np.stack([centre(a, SAMPLES) if rng is None else crop(a, SAMPLES, rng) for a in whole])

    def tensor(self, array):
        import torch

        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def batches(self, part, rng):
        """Batches of an epoch: random excerpts in random order of "train", the middle of all clips of other parts."""
        places = self.material.places(part)
        if part == TRAINED:
            return self.some(rng.permutation(places), rng)
        return self.some(places)

    def some(self, places, rng=None):
        """Batches of clips in the order given, of about equal size: none of a single clip, which has no statistics."""
        count = -(-len(places) // self._params.training.batch)
        for few in np.array_split(places, count):
            yield self.batch(few, self.audio(few, rng))

    def batch(self, places, audio):
        """A batch as :mod:`earshift.training.kim2019.tasks` takes it.

        Parameters
        ----------
        places : int [shape=(clips,)]
        audio : float32 [shape=(clips, 1 or 2, 44100)]
        """
        found = {"mixture": self.tensor(audio[:, 0]), "label": self.tensor(self._labels[places]),
                 "tags": self.tensor(self._tags[places])}  # fmt: skip
        return found | ({"target": self.tensor(audio[:, 1])} if self.task.stems else {})


def _baseline(task, data, network, switched):
    """Mean score of the trivial answer on the test clips."""
    from earshift.training.kim2019 import tasks

    network.eval()
    answer = tasks.trivial_answer(task, network, data.some(data.standards()), switched)
    found = [tasks.baseline(task, answer, network, batch, switched) for batch in data.batches(TESTED, None)]
    return float(np.nanmean(np.concatenate(found)))


def evaluated(params, name, task, about, recipes):
    """How well a network does.

    Parameters
    ----------
    params : earshift.pipeline.config.Params
    name, task : str
    about : dict, what model.json says of the task
    recipes : list of (earshift.perturbations.recipe.Recipe, fingerprint)

    Returns
    -------
    dict
        metric, better ("lower" or "higher"), baseline.
    (number, low, high, clips)
        On the test clips as they are.
    dict of str to (number, low, high, clips)
        At every value.
    """
    from earshift.training.kim2019 import scores as vgg_scores

    data = Data(params, task, params.encoders[name].trial, about["outputs"])
    network = opened(params, name, task, about)
    original, shown = vgg_scores.evaluated(data, network, task, recipes, switches(params), params)
    kind = TASKS[task]
    return {"metric": kind.metric, "better": kind.better, "baseline": about["baseline"]}, original, shown


def opened(params, name, task, about):
    """The trained network of a task, on its device and ready to be asked; `about` is what model.json says of it."""
    network = built(params, params.encoders[name], task, len(about["outputs"]))
    network.load_state_dict(read_arrays(paths.model(name) / f"{task}.npz"))
    return network.to(torch_device(params.compute.device)).eval()
