"""MS-CLAP against msclap itself: its wrapper from audio file to vector, and its audio branch."""

import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from benchmarks.mirror import checkpoints as torch_layouts
from earshift.encoders import clap
from earshift.encoders.inference import reproducible_inference
from earshift.encoders.weights.official import OwnWeights
from earshift.encoders.weights.record import open_weights, write_weights
from earshift.errors import UserError
from earshift.options import check
from earshift.pipeline import config as params
from earshift.pipeline.weights import weights_source

REPOSITORY = Path(__file__).parents[2]
TOLERANCE = 1e-5  # of the largest value of a vector
SAMPLES = 7 * 44100
CLIPS = {  # channels, seconds, sample rate; none longer than 7 s when its channels are laid end to end
    "stereo": (2, 3.0, 44100),
    "mono": (1, 3.0, 44100),
    "half the rate": (2, 3.0, 22050),
    "48 kHz": (2, 3.0, 48000),
    "low rate": (1, 2.2, 8000),
    "short": (2, 0.05, 44100),
    "exactly 7 s": (1, 7.0, 44100),
    "an odd length": (2, 1.234567, 96000),
}

# torchaudio does not go with this PyTorch, and the text branch needs what only the internet has: both are stubs here.
# soundfile reads 16-bit files as torchaudio does; audio at other rates is resampled beforehand, by `resampled_slowly`.
ORIGINAL = """
    import importlib.machinery
    import sys
    from pathlib import Path
    from types import ModuleType, SimpleNamespace

    import numpy
    import soundfile
    import torch

    checkpoint, clips, out = sys.argv[1:]

    def stub(name, **content):
        module = sys.modules[name] = ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        vars(module).update(content)
        return module

    def load(path):
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return torch.from_numpy(audio.T.copy()), rate

    class Text(torch.nn.Linear):
        @classmethod
        def from_pretrained(cls, name):
            return cls(2, 2)

    tokenizer = SimpleNamespace(add_special_tokens=lambda _: None)
    stub("torchaudio", load=load).transforms = stub("torchaudio.transforms")
    stub("transformers", AutoModel=Text, AutoTokenizer=SimpleNamespace(from_pretrained=lambda name: tokenizer),
         GPT2LMHeadModel=None, logging=SimpleNamespace(set_verbosity_error=lambda: None))
    stub("huggingface_hub").__path__ = []
    stub("huggingface_hub.file_download", hf_hub_download=None)
    from msclap import CLAP

    model = CLAP(checkpoint, version="2023", use_cuda=False)
    vectors = {path.stem: model.get_audio_embeddings([path])[0].numpy() for path in sorted(Path(clips).glob("*.wav"))}
    numpy.savez(out, **vectors)
"""


def make(policy="paper", precision="float32", path=None):
    return clap.Clap(policy=policy, precision=precision, weights=OwnWeights(path))


def relative(found, expected):
    return np.abs(found.astype(np.float64) - expected).max() / np.abs(expected).max()


def sound(channels, seconds, rate, seed=0):
    """A tone that decays in noise, another one in each channel."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    tones = [np.sin(2 * np.pi * 220 * (seed + c + 1) * time) * np.exp(-time) for c in range(channels)]
    return (0.3 * np.array(tones) + rng.normal(0, 0.02, (channels, len(time)))).astype(np.float32)


def resampled_slowly(audio, old, new):
    """Every sample as the sum that it is, in float64: a sinc that is cut off by a Hann window at its sixth zero."""
    cutoff = 0.99 * min(old, new)  # Hz, twice over
    count, reach = -(-audio.shape[1] * new // old), int(6 * old / cutoff) + 2
    middles = np.arange(count) * old / new
    inputs = middles.astype(int)[:, None] + np.arange(-reach, reach + 1)
    turns = np.clip((inputs - middles[:, None]) / old * cutoff, -6, 6)
    weights = np.sinc(turns) * np.cos(turns * np.pi / 12) ** 2 * cutoff / old
    padded = np.pad(audio.astype(np.float64), ((0, 0), (reach, reach + 1)))
    return (padded[:, inputs + reach] * weights).sum(axis=2)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("clap") / "CLAP_weights_2023.pth"
    torch_layouts.write_clap(path, 3)
    return path


@pytest.fixture(scope="module")
def folder(checkpoint):
    folder = checkpoint.parent / "clap"
    write_weights(folder, "clap", weights_source("clap", make(path=str(checkpoint))))
    return folder


@pytest.fixture(scope="module")
def embed(folder):
    return make().load(folder, "cpu")


@pytest.fixture(scope="module")
def original(checkpoint):
    """Vectors by the package's audio branch with the weights of the checkpoint, clip by clip."""
    network = torch_layouts.audio_encoder(3)

    def vectors(waveforms):
        with reproducible_inference():
            return torch.cat([network(torch.from_numpy(waveform[None]))[0] for waveform in waveforms]).numpy()

    return vectors


@pytest.fixture(scope="module")
def clips(checkpoint):
    """Audio files, and their vectors by the package's wrapper in a process of its own."""
    files, read = checkpoint.parent / "clips", checkpoint.parent / "resampled"
    files.mkdir(), read.mkdir()
    for name, (channels, seconds, rate) in CLIPS.items():
        soundfile.write(files / f"{name}.wav", sound(channels, seconds, rate).T, rate, subtype="PCM_16")
        audio, _ = soundfile.read(files / f"{name}.wav", dtype="float32", always_2d=True)
        audio = audio.T if rate == 44100 else resampled_slowly(audio.T, rate, 44100)
        soundfile.write(read / f"{name}.wav", audio.T, 44100, subtype="FLOAT")
    out = checkpoint.parent / "original.npz"
    environment = {"HOME": str(checkpoint.parent / "home"), "PATH": "", "OMP_NUM_THREADS": "2"}
    arguments = [str(each) for each in (checkpoint, read, out)]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ORIGINAL), *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with np.load(out) as vectors:
        return {name: (files / f"{name}.wav", vectors[name]) for name in CLIPS}


@pytest.mark.parametrize("clip", CLIPS)
def test_from_file_to_vector_as_the_package(clips, embed, clip):
    path, expected = clips[clip]
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    found = embed(make().waveform(audio.T, rate)[None])
    assert found.shape == (1, 1024) and found.dtype == np.float32
    assert relative(found[0], expected) < TOLERANCE


def test_the_random_network_tells_these_clips_apart(clips):
    vectors = np.stack([expected for _, expected in clips.values()])
    assert vectors.std(axis=0).mean() > 0.1 * vectors.std()


def test_batches_give_the_bits_of_single_clips(embed, original):
    waveforms = np.concatenate([sound(1, 7.0, 44100, seed) * 10.0**-seed for seed in range(3)])
    together = embed(waveforms)
    np.testing.assert_array_equal(together, np.concatenate([embed(waveform[None]) for waveform in waveforms]))
    for one, other in zip(together, original(waveforms), strict=True):
        assert relative(one, other) < TOLERANCE


def test_several_clips_at_once_as_a_gpu_takes_them(folder, original):
    encoder = clap.audio_encoder()
    state = {name: torch.from_numpy(array) for name, array in open_weights(folder).items()}
    encoder.load_state_dict(state, strict=False, assign=True)
    network = clap.Network(encoder, torch.device("cpu"), torch.float32)
    waveforms = np.concatenate([sound(1, 7.0, 44100, seed) for seed in range(2)])
    with reproducible_inference():
        found = network(torch.from_numpy(waveforms)).numpy()
    for one, other in zip(found, original(waveforms), strict=True):
        assert relative(one, other) < TOLERANCE


def test_silence_and_full_scale_are_as_the_package_has_them(embed, original):
    square = np.where(np.arange(SAMPLES) // 50 % 2, 1, -1).astype(np.float32)
    waveforms = np.stack([np.zeros(SAMPLES, np.float32), square])
    for one, other in zip(embed(waveforms), original(waveforms), strict=True):
        assert np.isfinite(one).all() and relative(one, other) < TOLERANCE


def test_only_the_audio_branch_is_kept(folder):
    names = set(open_weights(folder))
    assert not {name for name in names if name.startswith(("caption", "logit", "base.htsat.head", "base.htsat.tscam"))}
    assert not {name for name in names if "spectrogram_extractor" in name}
    assert {"base.htsat.bn0.running_var", "base.htsat.logmel_extractor.melW", "projection.linear2.weight"} <= names


def test_the_configuration_is_the_packages():
    path = Path(importlib.util.find_spec("msclap").origin).with_name("configs") / "config_2023.yml"
    theirs = yaml.safe_load(path.read_text())
    names = {"sample_rate": "sampling_rate", "classes_num": "num_classes", "d_in": "out_emb", "d_out": "d_proj"}
    assert {name: theirs[names.get(name, name)] for name in clap._CONFIG} == clap._CONFIG
    assert theirs["duration"] == clap._SECONDS


# ----------------------------------------------------------------------------------------------------------- policies


@pytest.mark.parametrize(("old", "new"), [(48000, 44100), (22050, 44100), (8000, 44100), (44100, 32000), (96, 44)])
def test_resampling_is_torchaudios(old, new):
    audio = sound(2, 6000 / old, old)
    found, expected = clap.resample(audio, old, new), resampled_slowly(audio, old, new)
    assert found.shape == expected.shape and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_resampling_leaves_tones_and_levels():
    """A tone well below the cutoff comes out as the tone at the other rate; the margins are left out."""
    time = np.arange(4800) / 48000
    found = clap.resample(np.sin(2 * np.pi * 1000 * time)[None].astype(np.float32), 48000, 44100)[0]
    expected = np.sin(2 * np.pi * 1000 * np.arange(4410) / 44100)
    assert np.abs(found - expected)[50:-50].max() < 2e-3


def test_paper_lays_channels_end_to_end():
    left, right = sound(2, 3.0, 44100)
    waveform = make().waveform(np.stack([left, right]), 44100)
    np.testing.assert_array_equal(waveform, np.concatenate([left, right, left[:44100]]))


def test_paper_takes_the_first_7_s_of_what_is_longer():
    left, right = sound(2, 4.0, 44100)
    waveform = make().waveform(np.stack([left, right]), 44100)
    np.testing.assert_array_equal(waveform, np.concatenate([left, right])[:SAMPLES])


def test_corrected_repeats_the_mean_of_the_channels():
    audio = sound(2, 3.0, 44100)
    waveform = make("corrected").waveform(audio, 44100)
    np.testing.assert_array_equal(waveform, np.resize(audio.mean(axis=0), SAMPLES))
    assert len(make("corrected").waveform(sound(1, 2.5, 22050), 22050)) == SAMPLES


def test_corrected_takes_a_long_clip_in_windows(folder, original):
    encoder = make("corrected")
    waveform = encoder.waveform(sound(2, 15.0, 44100), 44100)
    assert len(waveform) == 15 * 44100
    pieces = np.stack([waveform[start : start + SAMPLES] for start in (0, SAMPLES, 15 * 44100 - SAMPLES)])
    found = encoder.load(folder, "cpu")(waveform[None])
    assert relative(found[0], original(pieces).mean(axis=0)) < TOLERANCE


@pytest.mark.parametrize("policy", ["paper", "corrected"])
@pytest.mark.parametrize("seconds", [1.3, 3.0, 4.2, 8.0])
def test_stereo_of_equal_channels_is_mono(policy, seconds):
    """Under "paper" too: a clip and itself, repeated, are the clip repeated."""
    mono = sound(1, seconds, 48000)
    one, other = (make(policy).waveform(audio, 48000) for audio in (mono, np.repeat(mono, 2, axis=0)))
    np.testing.assert_array_equal(one, other)


# ----------------------------------------------------------------------------------------------------------- bad files


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before the zip"])
def test_both_formats_are_read(tmp_path, checkpoint, zipped):
    state = torch.load(checkpoint)["model"]
    torch.save({"model": state}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    name = "projection.linear1.weight"
    np.testing.assert_array_equal(clap._arrays(tmp_path / "a.pth")[name], state[f"audio_encoder.{name}"].numpy())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda state: state.pop("audio_encoder.base.htsat.norm.bias"), r"1 missing \(base.htsat.norm.bias\)"),
        (lambda state: state.update({"audio_encoder.more": torch.zeros(2)}), r"1 unexpected \(more\)"),
        (
            lambda state: state.update({"audio_encoder.projection.linear1.weight": torch.zeros(512, 768)}),
            r"projection.linear1.weight float32 \(512, 768\), expected float32 \(1024, 768\)",
        ),
        (lambda state: [state.pop(name) for name in [*state] if name.startswith("audio")], r"200 missing|\d+ missing"),
    ],
)
def test_another_architecture_is_refused(tmp_path, checkpoint, change, reason):
    state = dict(torch.load(checkpoint, mmap=True)["model"])
    change(state)
    torch.save({"model": state}, tmp_path / "a.pth")
    expected = rf"a\.pth is not a checkpoint of the audio branch of msclap==1.3.4: .*({reason})"
    with pytest.raises(UserError, match=expected):
        weights_source("clap", make(path=str(tmp_path / "a.pth"))).arrays()


def test_where_the_weights_come_from():
    published = weights_source("clap", make()).remote
    assert published.file == "CLAP_weights_2023.pth" and published.size == 689950036
    assert all(url.startswith("https://") and published.file in url for url in published.urls)


def test_options_are_as_params_yaml_has_them():
    document = params.read(REPOSITORY / "params.yaml")["encoders"]["clap"]
    assert check(clap.Clap, document, "encoders.clap") == make(policy=None)


# ------------------------------------------------------------------------------------------------ numbers and settings


def test_torch_is_left_as_it_was(folder):
    before = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.get_rng_state().tolist()
    make().load(folder, "cpu")(np.zeros((1, SAMPLES), np.float32))
    assert before == (torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.get_rng_state().tolist())
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.skipif(not torch.cpu._is_avx512_bf16_supported(), reason="needs a CPU with avx512_bf16")
def test_bfloat16_is_as_exact_as_its_docstring_says(folder, embed, tmp_path):
    """In a process of its own, since oneDNN decides once which instructions it uses."""
    waveforms = np.concatenate([sound(1, 7.0, 44100, seed) for seed in range(3)])
    np.save(tmp_path / "in.npy", waveforms)
    code = f"""
        import sys
        from pathlib import Path
        import numpy
        sys.path.insert(0, {str(REPOSITORY)!r})
        from earshift.encoders.clap import Clap
        from earshift.encoders.weights.official import OwnWeights
        encoder = Clap(policy="paper", precision="bfloat16", weights=OwnWeights(None))
        numpy.save("out.npy", encoder.load(Path({str(folder)!r}), "cpu")(numpy.load("in.npy")))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, check=True)
    found, expected = np.load(tmp_path / "out.npy"), embed(waveforms)
    assert found.dtype == np.float32
    assert 1e-5 < max(relative(one, other) for one, other in zip(found, expected, strict=True)) < 9e-3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same(folder, embed):
    waveforms = np.concatenate([sound(1, 7.0, 44100, seed) for seed in range(5)])
    found, expected = make().load(folder, "cuda")(waveforms), embed(waveforms)
    assert max(relative(one, other) for one, other in zip(found, expected, strict=True)) < 1e-4
