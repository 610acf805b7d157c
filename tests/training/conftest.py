"""Shared fixtures: a corpus of tones with labels, tags and stems in a workspace with small training; small networks."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest

from earshift.corpora.base import Clip, Corpus
from earshift.pipeline import corpus as build

RATE = 22050
TONES = {"low": 220.0, "high": 1760.0}
TASKS = ("autoencoder", "autotagging", "instruments", "separation")


@dataclass(frozen=True)
class Tones(Corpus):
    """A tone over noise; its label says which, its tags whether it trembles too. 18 recordings of one clip each."""

    name, licence = "tones", "none"
    sample_rate = RATE

    def recordings(self, downloads=None):
        return list(range(18))

    def separate(self, recording):
        rng = np.random.default_rng(recording)
        seconds = np.arange(int(2.2 * RATE)) / RATE
        tone = 0.2 * np.sin(2 * np.pi * list(TONES.values())[recording % 2] * seconds + recording)
        if recording % 3 == 0:
            tone *= 0.5 + 0.5 * np.sin(2 * np.pi * 6 * seconds)
        noise = 0.05 * rng.standard_normal(len(seconds))
        return [(tone[None].astype(np.float32), noise[None].astype(np.float32))]

    def clips(self, recording):
        ((lead, rest),) = self.separate(recording)
        label = list(TONES)[recording % 2]
        tags = (label, "trembling") if recording % 3 == 0 else (label,)
        split = "test" if recording >= 12 else "train"
        audio = np.round((lead + rest) * 32768).astype(np.int16)
        return [Clip(f"clip{recording}", f"piece{recording}", audio, RATE, label=label, split=split, tags=tags)]

    def dtype(self, recordings):
        return "int16"

    def extent(self, recordings):
        return len(recordings), len(recordings) * int(2.2 * RATE)

    def content_hashes(self, recordings):
        return {"tones": 1}


@pytest.fixture
def tones(edited):
    """``tones({"training.batch": 4})``: parameters of a workspace whose corpus are tones, packed; one worker."""

    def made(changes=None):
        small = {f"encoders.vgg_{task}.channels": 1 for task in TASKS}
        small |= {f"training.{task}.epochs": 2 for task in TASKS}
        small |= {
            "training.threads": 1,
            "diverse.threads": 1,
            "training.batch": 4,
            "training.bootstrap": 50,
            "compute.workers": 1,
        }
        params = edited(small | (changes or {}))
        corpus = dataclasses.replace(params.corpus, name="tones", chosen=Tones())
        params = dataclasses.replace(params, corpus=corpus)
        build.build(params)
        return params

    return made


@pytest.fixture
def options():
    from earshift.training.verma2023.options import MobileNet, Networks, Timbre, Transformer

    transformer = Transformer(
        layers=6, width=16, mlp=32, heads=3, head_width=5, dropout=0.3, pool_last=True, hidden=24,
        dense_activation="relu",
    )  # fmt: skip
    return Networks(transformer, Timbre(n_fft=2048, bands=128), filters=6, mobilenet=MobileNet(width=0.25, last=32))
