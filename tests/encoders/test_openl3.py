"""OpenL3 against what openl3 0.4.2 on TensorFlow 2.15 gives, and against plain computations of its parts.

fixtures/openl3_reference.npz and openl3_cases.npz hold embeddings that openl3 0.4.2 itself computed (kapre front end,
weights of openl3_layout.SEED): of openl3_chirp_mono_44k.wav, and of the clips in CASES. Where this was written the
largest differences were 0.6e-5 to 1.6e-5 of the standard deviation, which is TensorFlow's own rounding: against the
network in double precision they are the same.
"""

import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch

from benchmarks.mirror import openl3 as openl3_layout
from earshift.encoders import openl3
from earshift.encoders.openl3 import Openl3
from earshift.encoders.weights.record import open_weights, write_weights
from earshift.errors import UserError
from earshift.options import check
from earshift.pipeline.weights import weights_source

FIXTURES = Path(__file__).with_name("fixtures")
OPTIONS = {
    "representation": "mel128", "content": "music", "embedding_size": 512, "hop": 0.1, "centre": True, "policy": None,
    "precision": "float32",
}  # fmt: skip
CASES = {  # sample rate, channels, samples, kind of sound, representation, size, hop, centred
    "stereo": (44100, 2, 66150, "square", "mel128", 512, 0.5, True),
    "short": (22050, 1, 1102, "noise", "mel128", 512, 0.1, True),
    "linear": (8000, 2, 12000, "square", "linear", 512, 0.7, True),
    "large": (48000, 1, 60000, "noise", "mel256", 6144, 0.5, False),
    "three": (96000, 3, 120000, "square", "mel128", 6144, 0.6, True),
    "stretched": (88200, 2, 100000, "square", "linear", 6144, 1.0, False),
    "fine": (16000, 1, 7000, "square", "mel256", 512, 0.25, True),
    "late": (44100, 1, 44100, "late", "mel128", 512, 0.25, True),
    "silence": (44100, 1, 30000, "silence", "mel128", 512, 0.5, True),
}


def sound(seed, channels, samples, kind):
    """16-bit audio in whole-number arithmetic, float32 [shape=(channels, samples)]."""
    noise = np.random.RandomState(seed).randint(-3000, 3000, (channels, samples))  # a stream that NumPy has frozen
    time = np.arange(samples)
    parts = {
        "noise": noise,
        "square": noise // 60 + np.where(time // 37 % 2, 9000, -9000),
        "late": np.where(time < samples // 2, 0, np.where(time // 50 % 2, 12000, -12000)) + 0 * noise,
        "silence": 0 * noise,
    }
    return (parts[kind] / 32768).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """data/models/openl3 as the stage leaves it, from a file of the published layout."""
    root = tmp_path_factory.mktemp("openl3")
    openl3_layout.write(root / "file.h5.gz", openl3_layout.SEED)
    source = weights_source("openl3", encoder(weights={"path": str(root / "file.h5.gz")}))
    write_weights(root / "openl3", "openl3", source)
    return root / "openl3"


def encoder(**changes):
    return check(Openl3, OPTIONS | {"weights": {"path": None}} | changes, "encoders.openl3")


@pytest.fixture(scope="module")
def frames(folder):
    """A function from options to the loaded function for single windows; each is loaded once."""
    loaded = {}

    def load(**changes):
        key = tuple(sorted(changes.items()))
        if key not in loaded:
            loaded[key] = encoder(**changes).frames(folder, "cpu")
        return loaded[key]

    return load


@pytest.fixture(scope="module")
def chirp():
    audio, rate = soundfile.read(FIXTURES / "openl3_chirp_mono_44k.wav", dtype="float32")
    return audio[None], rate


@pytest.fixture(scope="module")
def reference():
    return np.load(FIXTURES / "openl3_reference.npz")["chirp_mono_44k"]


def difference(found, expected):
    """Largest difference, as a share of the standard deviation."""
    assert found.shape == expected.shape and found.dtype == np.float32
    return np.abs(found - expected).max() / expected.std()


# ------------------------------------------------------------------------------------------------ against the original


def test_the_chirp_gives_what_openl3_gives(frames, chirp, reference):
    audio, rate = chirp
    assert (
        difference(frames()(encoder().waveform(audio, rate)[None])[0], reference) < 1e-4
    )  # 1.3e-5 where this was written


@pytest.mark.parametrize("case", CASES)
def test_other_clips_and_options_give_what_openl3_gives(frames, case):
    rate, channels, samples, kind, representation, size, hop, centre = CASES[case]
    audio = sound(list(CASES).index(case), channels, samples, kind)
    options = {"representation": representation, "embedding_size": size, "hop": hop, "centre": centre}
    found = frames(**options)(encoder(**options).waveform(audio, rate)[None])[0]
    assert difference(found, np.load(FIXTURES / "openl3_cases.npz")[case]) < 1e-4


def test_the_first_study_gets_26_windows_from_3_seconds(rng):
    waveform = encoder().waveform(rng.normal(0, 0.1, (2, 132_300)).astype(np.float32), 44100)
    assert openl3.windows(waveform, hop=4800, centre=True).shape == (26, 48000)


# ----------------------------------------------------------------------------------------------------------- the input


@pytest.mark.parametrize("length", [512, 2048])
def test_the_window_has_the_bits_of_tensorflow(length):
    np.testing.assert_array_equal(openl3.hann(length), np.load(FIXTURES / "openl3_cases.npz")[f"hann_{length}"])


@pytest.mark.parametrize("representation", ["linear", "mel128", "mel256"])
def test_spectrograms_are_those_of_librosa(rng, representation):
    window = rng.normal(0, 0.1, 48000).astype(np.float32)
    if representation == "linear":
        magnitude = np.abs(librosa.stft(window, n_fft=512, hop_length=242, center=False))
        assert magnitude.shape == (257, 197)
    else:
        bands = int(representation.removeprefix("mel"))
        padded = np.pad(window, (0, 2048))[: 198 * 242 + 2048]  # 199 frames begin in the window
        magnitude = librosa.feature.melspectrogram(
            y=padded, sr=48000, n_fft=2048, hop_length=242, center=False, power=1, n_mels=bands
        )
        assert magnitude.shape == (bands, 199)
    levels = 10 * np.log10(np.maximum(magnitude, 1e-10))
    found = openl3.decibels(window, openl3._REPRESENTATIONS[representation])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.maximum(levels - levels.max(), -80), rtol=0, atol=1e-3)


def test_levels_are_relative_to_the_window_and_cut_80_below(rng):
    mel, noise = openl3._REPRESENTATIONS["mel128"], rng.normal(0, 0.1, 48000).astype(np.float32)
    np.testing.assert_allclose(openl3.decibels(noise / 64, mel), openl3.decibels(noise, mel), rtol=0, atol=1e-4)
    found = openl3.decibels(np.where(np.arange(48000) < 24000, noise, 0), mel)
    assert found.max() == 0 and (found[:, 100:] == -80).all() and found[:, :90].min() > -30


def test_silence_is_the_maximum_everywhere():
    assert (openl3.decibels(np.zeros(48000, dtype=np.float32), openl3._REPRESENTATIONS["mel128"]) == 0).all()


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("hop", [4800, 4801, 48000, 60000])
@pytest.mark.parametrize("samples", [1, 2400, 24000, 24001, 47999, 48000, 48001, 143_999, 144_000])
def test_windows_cover_a_clip(samples, hop, centre):
    clip = np.arange(1, samples + 1, dtype=np.float32)
    found = openl3.windows(clip, hop=hop, centre=centre)
    length = samples + 24000 * centre
    assert len(found) == (1 if length <= 48000 else 1 + int(np.ceil((length - 48000) / hop)))
    whole = np.zeros((len(found) - 1) * hop + 48000, dtype=np.float32)
    for number, window in enumerate(found):
        whole[number * hop : number * hop + 48000] = window
    before = 24000 * centre
    if hop <= 48000:  # else there are gaps between windows
        np.testing.assert_array_equal(whole[before : before + samples], clip)
    assert (whole[:before] == 0).all() and (whole[before + samples :] == 0).all()


def test_channels_are_averaged(rng):
    audio = rng.integers(-3000, 3000, (2, 500)).astype(np.float32) / 32768
    found = encoder().waveform(audio, 44100)
    assert found.dtype == np.float32 and found.shape == (544,)
    np.testing.assert_array_equal(found, encoder().waveform(audio.mean(axis=0, keepdims=True), 44100))


# ---------------------------------------------------------------------------------------------------------- the vectors


def short(rng, seconds=0.3):
    return rng.normal(0, 0.1, (2, int(seconds * 44100))).astype(np.float32)


def test_a_clip_is_the_mean_of_its_windows(folder, frames, rng):
    waveform = encoder().waveform(short(rng, 0.7), 44100)[None]
    vectors = encoder().load(folder, "cpu")(waveform)
    assert vectors.shape == (1, 512) and vectors.dtype == np.float32
    assert frames()(waveform).shape[1] == 3
    np.testing.assert_allclose(vectors, frames()(waveform).mean(axis=1), rtol=1e-6)


def test_policies_give_the_same(folder, rng):
    audio, found = short(rng), []
    for policy in ("paper", "corrected"):
        chosen = encoder(policy=policy)
        found.append(chosen.load(folder, "cpu")(chosen.waveform(audio, 44100)[None]))
    np.testing.assert_array_equal(*found)


def test_long_clips_are_cut_into_chunks(frames, rng, monkeypatch):
    waveform = encoder().waveform(short(rng, 0.7), 44100)[None]
    together = frames()(waveform)
    monkeypatch.setattr(openl3, "_CHUNK", 2)
    assert difference(frames()(waveform), together) < 1e-4


def test_company_changes_no_bit(frames, rng):
    waveforms = np.stack([encoder().waveform(short(rng), 44100) for _ in range(3)])
    alone = np.concatenate([frames()(waveform[None]) for waveform in waveforms])
    np.testing.assert_array_equal(frames()(waveforms), alone)


@pytest.mark.parametrize("size", [512, 6144])
def test_the_network_for_gpus_gives_the_same(folder, frames, rng, monkeypatch, size):
    waveforms = np.stack([encoder().waveform(short(rng, 0.7), 44100) for _ in range(2)])
    scale, offset, layers = openl3.fold(open_weights(folder))
    network = openl3._on_gpu(layers, torch.float32, "cpu", openl3._GRID[size])
    monkeypatch.setattr(openl3, "_FORWARD", 4)  # less than the windows of both clips
    found = openl3._together(
        [openl3.windows(waveform, hop=4800, centre=True) for waveform in waveforms],
        lambda window: scale * openl3.decibels(window, openl3._REPRESENTATIONS["mel128"]) + offset,
        network,
    )
    assert difference(found, frames(embedding_size=size)(waveforms)) < 1e-4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.2)])
def test_a_gpu_gives_the_same(folder, frames, chirp, precision, tolerance):
    waveform = encoder().waveform(*chirp)[None]
    found = encoder(precision=precision).frames(folder, "cuda")(waveform)
    assert difference(found, frames()(waveform)) < tolerance


def test_bfloat16_costs_what_the_docstring_says(frames, chirp, reference):
    if not torch.cpu._is_avx512_bf16_supported():
        with pytest.raises(UserError, match="bfloat16"):
            frames(precision="bfloat16")
        return
    found = frames(precision="bfloat16", hop=1.0)(encoder().waveform(*chirp)[None])[0]
    error = (found[:2] - reference[::10]) / reference.std()
    assert 1e-3 < np.sqrt((error**2).mean()) < 2e-2 and np.abs(error).max() < 0.1


# ---------------------------------------------------------------------------------------------------------- the weights


def test_layers_are_taken_in_order_whatever_their_names(tmp_path, folder):
    layers = openl3_layout.layers(openl3_layout.SEED)
    layers = [(f"{'qaz'[i % 3]}_{99 - i}", weights) for i, (_, weights) in enumerate(layers)]
    openl3_layout.write_layers(tmp_path / "file.h5", layers)
    found, expected = openl3._arrays(tmp_path / "file.h5"), open_weights(folder)
    assert found.keys() == expected.keys() and len(found) == 8 * 2 + 8 * 4
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda layers: layers[:-1], "15 layers with weights, expected 16"),
        (lambda layers: layers[3:], "expected 16"),
        (lambda layers: [*layers[:4], *layers[6:8], *layers[4:6], *layers[8:]], "has arrays of shape"),
        (
            lambda layers: [*layers[:-1], (layers[-1][0], layers[-1][1][::-1])],
            r"layer 16 .* has arrays of shape 512, 3",
        ),
    ],
)
def test_other_networks_are_refused(tmp_path, change, reason):
    path = tmp_path / "file.h5"
    openl3_layout.write_layers(path, change(openl3_layout.layers(1)))
    with pytest.raises(UserError, match=reason) as caught:
        weights_source("openl3", encoder()).convert(path)
    assert str(path) in str(caught.value) and "OpenL3" in str(caught.value) and "\n" not in str(caught.value)


def test_the_published_files_are_pinned():
    blobs = {
        "linear_music": "4e2e61beb17865481c8b8791c72eac8307e2753a",
        "linear_env": "7837407f033f3564c7e8d53fc4a4241fe160478b",
        "mel128_music": "73ff29de441865318c4b3a3f98c40763c4773e7c",
        "mel128_env": "8c3dfee140f7776373841e5938a3e76c54f28942",
        "mel256_music": "15e483646fa3d4091a463f0affbb706e6bbbb098",
        "mel256_env": "34dbd7a91cdd2de6a3d6d036ac0a24d27d78e3cc",
    }
    for variant, blob in blobs.items():
        representation, content = variant.split("_")
        published = weights_source("openl3", encoder(representation=representation, content=content)).remote
        assert published.file == f"openl3_audio_{variant}-v0_4_0.h5.gz"
        assert published.hashes == (("git-blob", blob),)
        assert published.urls == (f"https://github.com/marl/openl3/raw/models/{published.file}",)


@pytest.mark.parametrize(
    ("option", "value"),
    [("representation", "mel64"), ("content", "speech"), ("embedding_size", 256), ("hop", 0), ("centre", "yes"),
     ("policy", "both"), ("precision", "float16")],
)  # fmt: skip
def test_options_are_checked(option, value):
    with pytest.raises(UserError, match=f"encoders.openl3.{option} is {value!r}"):
        encoder(**{option: value})


def test_importing_the_module_imports_nothing_heavy():
    code = "import sys; import earshift.encoders.openl3; print(*{'torch', 'numba', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
