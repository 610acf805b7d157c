"""What the pipeline relies on in an encoder, as questions put to one: what is wrong with it, and how to mend it.

Conventions
-----------
The clips are made here, from sums of sines and a small integer generator, so that they are the same everywhere. Every
check gives the problem it found, in one sentence with the remedy, or None. One that raises is a problem too.

- :func:`clips`: the clips
- :func:`problems`: what is wrong with an encoder
"""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earshift.encoders.base import Embed, Encoder, Floats
from earshift.encoders.inference import Batches
from earshift.errors import UserError
from earshift.storage import provenance

BATCH_TOLERANCE = 1e-5  # of the largest value: what a vector may depend on its company
_RATE = 44100


def clips() -> dict[str, tuple[Floats, int]]:
    """Short clips by name: float32 [shape=(channels, samples)] and sample rate in Hz."""
    seconds = np.arange(3 * _RATE) / _RATE
    chord = np.zeros(len(seconds))
    for n, frequency in enumerate((220.0, 277.5, 331.0, 1760.0)):
        chord += np.sin(2 * np.pi * frequency * seconds) / (n + 1)
    sweep = np.sin(2 * np.pi * (60 * seconds + 900 * seconds**2))
    clicks = np.zeros(2 * 16000)
    clicks[::1999] = 0.8
    made = {
        "chord and sweep, stereo": (np.stack([0.2 * chord, 0.3 * sweep]), _RATE),
        "noise": (0.1 * _noise(3 * _RATE)[None], _RATE),
        "clicks, 16 kHz": (clicks[None] + 0.001 * _noise(len(clicks)), 16000),
        "short and quiet": (0.003 * chord[None, : _RATE // 5], _RATE),
    }
    return {name: (audio.astype(np.float32), rate) for name, (audio, rate) in made.items()}


def _noise(samples: int) -> NDArray[np.float64]:
    """White noise in [-1, 1) by Lehmer's generator: the same in every version of every library."""
    values, state = np.empty(samples), 440
    for i in range(samples):
        state = state * 48271 % 2147483647
        values[i] = state
    return values / 2**30 - 1


def problems(encoder: Encoder, folder: Path, device: str = "cpu") -> Iterator[str]:
    """What is wrong with an encoder.

    Parameters
    ----------
    folder : with its weights as :func:`earshift.encoders.weights.record.write_weights` leaves them
    device : "cpu", "cuda" or "cuda:N"

    Yields
    ------
    str
        One sentence per problem, with the remedy; nothing where all is well.
    """
    name = type(encoder).__name__
    found = list(filter(None, (check(encoder, name) for check in _BEFORE_LOADING)))
    yield from found
    if found:
        return
    try:
        network = encoder.load(folder, device)
        again = encoder.load(folder, device)
    except UserError as error:
        yield f"{name}.load fails: {error}"
        return
    except Exception as error:
        yield f"{name}.load(folder, device) raises {type(error).__name__}: {error}; it must return a function"
        return
    if not callable(network):
        yield f"{name}.load returns a {type(network).__name__}; it must return a function of waveforms"
        return
    case = _Case(encoder, name, network, again)
    for check in _AFTER_LOADING:
        problem: str | None
        try:
            problem = check(case)
        except UserError as error:
            problem = str(error)
        except Exception as error:
            problem = f"{(check.__doc__ or '').rstrip('.')}: {name} raises {type(error).__name__}: {error}"
        if problem:
            yield problem
            if check in (_right_waveform, _right_shape):  # the rest would only say so again
                return


class _Case:
    """An encoder that is loaded, twice, and the clips that it is asked about."""

    def __init__(self, encoder: Encoder, name: str, network: Embed, again: Embed) -> None:
        self.encoder, self.name, self.network, self.again = encoder, name, network, again
        self.clips = clips()

    def waveform(self, clip: str) -> Floats:
        return self.encoder.waveform(*self.clips[clip])

    def vector(self, audio: NDArray[np.floating], rate: int, network: Embed | None = None) -> Floats:
        waveform = self.encoder.waveform(np.asarray(audio, dtype=np.float32), rate)
        vector: Floats = Batches(network or self.network, self.encoder)(waveform[None])[0]
        return vector


# ----------------------------------------------------------------------------------------------------- before it loads


def _attributes(encoder: Encoder, name: str) -> str | None:
    if not isinstance(encoder.sample_rate, int) or encoder.sample_rate <= 0:
        return f"{name}.sample_rate is {encoder.sample_rate!r}; set it to the rate in Hz that the network expects"
    if not isinstance(encoder.dim, int) or encoder.dim < 1:
        return f"{name}.dim is {encoder.dim!r}; set it to the length of a vector"
    if hasattr(encoder, "published"):
        return f"{name}.published is not read any more; return it from weights_source(self, *, downloads, networks)"
    if not isinstance(encoder.batch, int) or encoder.batch < 1:
        return f"{name}.batch is {encoder.batch!r}; set it to how many clips a call takes on a CPU, 1 when in doubt"
    return None


def _packages(encoder: Encoder, name: str) -> str | None:
    try:
        provenance.versions(*encoder.packages)
    except Exception as error:
        return (
            f"{name}.packages is {encoder.packages!r}, and the version of one of them is unknown ({error}); name the "
            "distributions, as pip lists them, whose versions determine the numbers"
        )
    return None


def _travels(encoder: Encoder, name: str) -> str | None:
    try:
        same = pickle.loads(pickle.dumps(encoder)) == encoder
    except Exception as error:
        return (
            f"{name} cannot be sent to worker processes ({type(error).__name__}: {error}); keep the network out of the "
            "instance, load it in load()"
        )
    if is_dataclass(encoder) and not same:
        return f"{name} differs from its own copy; make it a frozen dataclass of plain options"
    return None


_BEFORE_LOADING = (_attributes, _packages, _travels)


# ------------------------------------------------------------------------------------------------------ after it loaded


def _right_waveform(case: _Case) -> str | None:
    """Waveform of a stereo clip."""
    waveform = case.waveform("chord and sweep, stereo")
    if not isinstance(waveform, np.ndarray) or waveform.ndim != 1 or waveform.dtype != np.float32:
        what = f"{waveform.dtype} {waveform.shape}" if isinstance(waveform, np.ndarray) else type(waveform).__name__
        return f"{case.name}.waveform gives {what}; it must give a float32 array of shape (samples,)"
    return None


def _right_shape(case: _Case) -> str | None:
    """Vectors of one clip."""
    vectors = case.network(case.waveform("noise")[None])
    if not isinstance(vectors, np.ndarray):
        fix = "end with .cpu().numpy()" if type(vectors).__module__.startswith("torch") else "give a NumPy array"
        return f"{case.name} gives {type(vectors).__module__}.{type(vectors).__name__}; {fix}"
    if vectors.shape != (1, case.encoder.dim):
        fix = "average over time" if vectors.ndim == 3 else "correct dim or the output"
        return f"{case.name} gives shape {vectors.shape} for one clip, expected {(1, case.encoder.dim)}; {fix}"
    if vectors.dtype != np.float32:
        return f"{case.name} gives {vectors.dtype}; end with .astype(numpy.float32), which is what is stored"
    return None


def _finite(case: _Case) -> str | None:
    """Vectors of all kinds of clips."""
    fix = "look for a logarithm or division without a floor"
    floor = "add a floor inside the logarithm, and to what it divides by"
    silence = np.zeros((1, 2 * _RATE), dtype=np.float32), _RATE
    for kind, clip in {**case.clips, "silence": silence}.items():
        if not np.isfinite(case.vector(*clip)).all():
            return f"{case.name} gives NaN or infinity for {kind}; {floor if kind == 'silence' else fix}"
    return None


def _short(case: _Case) -> str | None:
    """Vectors of clips down to 20 ms."""
    audio, rate = case.clips["noise"]
    for seconds in (0.5, 0.1, 0.02):
        try:
            vector = case.vector(audio[:, : int(seconds * rate)], rate)
        except UserError:
            raise
        except Exception as error:
            return (
                f"{case.name} raises {type(error).__name__} for a clip of {seconds} s ({error}); set window to the "
                "seconds that the network needs, and shorter clips are repeated up to it"
            )
        if not np.isfinite(vector).all():
            return f"{case.name} gives NaN or infinity for a clip of {seconds} s; set window to what the network needs"
    return None


def _repeatable(case: _Case) -> str | None:
    """The same clip twice."""
    audio, rate = case.clips["noise"]
    first = case.vector(audio, rate)
    case.vector(*case.clips["clicks, 16 kHz"])
    if not np.array_equal(case.vector(audio, rate), first):
        return (
            f"{case.name} gives another vector for the same clip; call .eval(), leave out random crops and dropout, "
            "and keep nothing from call to call"
        )
    if not np.array_equal(case.vector(audio, rate, case.again), first):
        return f"{case.name} gives another vector after load() is called again; seed or avoid random weights"
    return None


def _company(case: _Case) -> str | None:
    """Clips in a batch."""
    noise, rate = case.clips["noise"]
    waveforms = np.stack([case.encoder.waveform(np.roll(noise, 1000 * n) * (1 + n), rate) for n in range(3)])
    alone = np.concatenate([case.network(waveforms[n : n + 1]) for n in range(3)])
    scale = np.abs(alone).max() or 1.0
    for order in (slice(None), slice(None, None, -1)):
        together = case.network(waveforms[order].copy())
        if together.shape != alone.shape:
            return (
                f"{case.name} gives shape {together.shape} for 3 clips, expected {alone.shape}; keep one row per clip"
            )
        worst = np.abs(together - alone[order]).max() / scale
        if not worst <= BATCH_TOLERANCE:
            return (
                f"{case.name} gives vectors that depend on the batch (by {worst:.1e} of the largest value, allowed "
                f"{BATCH_TOLERANCE:g}); normalise clip by clip, with stored statistics, not over the batch"
            )
    return None


def _input_untouched(case: _Case) -> str | None:
    """The waveform that is handed over."""
    waveforms = case.waveform("noise")[None]
    before = waveforms.copy()
    case.network(waveforms)
    if np.array_equal(waveforms, before):
        return None
    return f"{case.name} changes its input in place; work on a copy"


def _tells_apart(case: _Case) -> str | None:
    """Two different clips."""
    one, other = (case.vector(*case.clips[clip]) for clip in ("noise", "chord and sweep, stereo"))
    if np.array_equal(one, other):
        return f"{case.name} gives the same vector for noise and for a chord; is the audio used at all?"
    return None


def _gain_of_nothing(case: _Case) -> str | None:
    """A gain of exactly 0 dB."""
    from earshift.perturbations.effects import Gain

    process = Gain(grid=(0.0, 1.0)).processor(0.0)
    audio, rate = case.clips["chord and sweep, stereo"]
    if np.array_equal(case.vector(process(audio, rate), rate), case.vector(audio, rate)):
        return None
    return (
        f"{case.name} moves under a gain of exactly 0 dB, which changes no sample; it keeps something from call to call"
    )


_AFTER_LOADING: tuple[Callable[[_Case], str | None], ...] = (
    _right_waveform,
    _right_shape,
    _finite,
    _short,
    _repeatable,
    _company,
    _input_untouched,
    _tells_apart,
    _gain_of_nothing,
)
