"""Encoders that take no time, for tests that copy this file into a folder of their own and name its classes."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from earshift.encoders.base import Encoder
from earshift.options import Interval


@dataclass(frozen=True)
class Toy(Encoder):
    """Mean, deviation and crest of the waveform.

    bands : counts for nothing but the fingerprint
    delay : seconds a batch; the file ``pause`` stops it for as long as the file that it names exists, and is another
        one where TOY_PAUSE says so
    """

    bands: Annotated[int, Interval(ge=1, le=10)]
    delay: Annotated[float, Interval(ge=0, le=10)]

    sample_rate = 8000
    window = 0.9
    dim = 3
    packages = ("numpy",)

    def load(self, folder, device):
        def network(waveforms):
            time.sleep(self.delay)
            pause = Path(os.environ.get("TOY_PAUSE", "pause"))
            while pause.exists() and Path(pause.read_text()).exists():
                time.sleep(0.01)
            return np.stack([waveforms.mean(1), waveforms.std(1), np.abs(waveforms).max(1)], axis=1)

        return network


class Wide(Toy):
    """Gives more numbers than it says."""

    def load(self, folder, device):
        return lambda waveforms: np.zeros((len(waveforms), 4))


class Broken(Toy):
    """Gives no numbers."""

    def load(self, folder, device):
        return lambda waveforms: np.full((len(waveforms), 3), np.nan)


@dataclass(frozen=True)
class Slow(Encoder):
    """Mean and deviation, by a network that one thread at a time may use; loading it leaves a line in loads.txt."""

    delay: Annotated[float, Interval(ge=0, le=10)]

    sample_rate = 8000
    window = 0.5
    dim = 2
    packages = ("numpy",)

    def load(self, folder, device):
        with open("loads.txt", "a") as file:
            file.write(f"{os.getpid()}\n")
        inside = threading.Lock()

        def network(waveforms):
            assert inside.acquire(blocking=False), "two threads in one network"
            time.sleep(self.delay)
            inside.release()
            return np.stack([waveforms.mean(1), waveforms.std(1)], axis=1)

        return network
