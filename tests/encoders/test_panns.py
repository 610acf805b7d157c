"""PANNs against panns_inference itself: the package's own call from audio file to vector, and its network."""

import copy
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from benchmarks.mirror import checkpoints as torch_layouts
from earshift.encoders import panns
from earshift.encoders.inference import reproducible_inference
from earshift.encoders.kernels.log_mel import LogMel, without_kernels
from earshift.encoders.weights.official import OwnWeights
from earshift.encoders.weights.record import open_weights, write_weights
from earshift.errors import UserError
from earshift.options import check
from earshift.pipeline import config as params
from earshift.pipeline.weights import weights_source

REPOSITORY = Path(__file__).parents[2]
TOLERANCE = 1e-5  # of the largest value of a vector
CLIPS = {  # channels, seconds, sample rate
    "stereo": (2, 3.0, 44100),
    "mono": (1, 3.0, 44100),
    "half the rate": (2, 3.0, 22050),
    "48 kHz": (2, 3.0, 48000),
    "as the network wants it": (1, 3.0, 32000),
    "an odd length": (2, 1.234567, 44100),
    "low rate": (1, 2.2, 8000),
    "just long enough": (1, 0.311, 44100),
    "long": (2, 11.7, 44100),
}

ORIGINAL = """
    import sys
    from pathlib import Path

    home, checkpoint, clips, out = sys.argv[1:]
    labels = Path(home) / "panns_data/class_labels_indices.csv"
    labels.parent.mkdir()
    labels.write_text("index,mid,display_name\\n" + "".join(f"{n},/m/{n},class {n}\\n" for n in range(527)))
    import librosa
    import numpy
    from panns_inference import AudioTagging

    tagger = AudioTagging(checkpoint_path=checkpoint, device="cpu")
    vectors = {}
    for path in sorted(Path(clips).glob("*.wav")):
        audio, _ = librosa.load(path, sr=32000, mono=True)
        vectors[path.stem] = tagger.inference(audio[None])[1][0]
    numpy.savez(out, **vectors)
"""


def make(policy="paper", precision="float32", path=None):
    return panns.Panns(policy=policy, precision=precision, weights=OwnWeights(path))


def relative(found, expected):
    return np.abs(found.astype(np.float64) - expected).max() / np.abs(expected).max()


def sound(channels, seconds, rate, seed=0):
    """A tone that decays in noise, another one in each channel."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    tones = [np.sin(2 * np.pi * 220 * (seed + c + 1) * time) * np.exp(-time) for c in range(channels)]
    return (0.3 * np.array(tones) + rng.normal(0, 0.02, (channels, len(time)))).astype(np.float32)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("panns") / "Cnn14_mAP=0.431.pth"
    torch_layouts.write_panns(path, 3)
    return path


@pytest.fixture(scope="module")
def folder(checkpoint):
    folder = checkpoint.parent / "panns"
    write_weights(folder, "panns", weights_source("panns", make(path=str(checkpoint))))
    return folder


@pytest.fixture(scope="module")
def embed(folder):
    return make().load(folder, "cpu")


@pytest.fixture(scope="module")
def network(checkpoint):
    """The package's network with the weights of the checkpoint."""
    return torch_layouts.cnn14(3)


@pytest.fixture(scope="module")
def original(network):
    """Its vectors, clip by clip."""

    def vectors(waveforms):
        with reproducible_inference():
            parts = [network(torch.from_numpy(waveform[None]))["embedding"] for waveform in waveforms]
        return torch.cat(parts).numpy()

    return vectors


@pytest.fixture(scope="module")
def clips(checkpoint):
    """Audio files, and their vectors by the package's own call in a process of its own."""
    folder = checkpoint.parent / "clips"
    folder.mkdir()
    for name, (channels, seconds, rate) in CLIPS.items():
        soundfile.write(folder / f"{name}.wav", sound(channels, seconds, rate).T, rate, subtype="PCM_16")
    home = checkpoint.parent / "home"
    home.mkdir()
    # this checkpoint holds NumPy arrays as the published one does, which today's torch.load takes only on request
    environment = {"HOME": str(home), "PATH": "", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "OMP_NUM_THREADS": "2"}
    out = checkpoint.parent / "original.npz"
    arguments = [str(each) for each in (home, checkpoint, folder, out)]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ORIGINAL), *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with np.load(out) as vectors:
        return {name: (folder / f"{name}.wav", vectors[name]) for name in CLIPS}


@pytest.mark.parametrize("clip", CLIPS)
def test_from_file_to_vector_as_the_package(clips, embed, clip):
    path, expected = clips[clip]
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    found = embed(make().waveform(audio.T, rate)[None])
    assert found.shape == (1, 2048) and found.dtype == np.float32
    assert relative(found[0], expected) < TOLERANCE


def test_the_random_network_tells_these_clips_apart(clips):
    vectors = np.stack([expected for _, expected in clips.values()])
    assert vectors.std(axis=0).mean() > 0.1 * vectors.std() and 0.2 < (vectors > 0).mean() < 0.8


def test_batches_give_what_single_clips_give(embed, original):
    waveforms = np.concatenate([sound(1, 0.8, 32000, seed) * 10.0 ** -(seed % 3) for seed in range(18)])
    expected, together = original(waveforms), embed(waveforms)
    for one, other in zip(together, expected, strict=True):
        assert relative(one, other) < TOLERANCE
    alone = np.concatenate([embed(waveform[None]) for waveform in waveforms])
    assert max(relative(one, other) for one, other in zip(together, alone, strict=True)) < TOLERANCE
    np.testing.assert_array_equal(embed(waveforms), together)


def test_blocks_as_a_gpu_computes_them(folder, original, monkeypatch):
    for name in ("_wide", "_narrow"):
        monkeypatch.setattr(panns, name, panns._plain)
    monkeypatch.setattr(panns, "_APART", 0)
    waveforms = np.concatenate([sound(1, 0.6, 32000, seed) for seed in range(3)])
    for one, other in zip(make().load(folder, "cpu")(waveforms), original(waveforms), strict=True):
        assert relative(one, other) < TOLERANCE


def test_silence_and_full_scale_are_as_the_package_has_them(embed, original):
    square = np.where(np.arange(32000) // 50 % 2, 1, -1).astype(np.float32)
    waveforms = np.stack([np.zeros(32000, np.float32), square])
    for one, other in zip(embed(waveforms), original(waveforms), strict=True):
        assert np.isfinite(one).all() and relative(one, other) < TOLERANCE


def test_pure_tones_are_no_less_exact_than_the_packages(embed, network):
    """Beside a pure tone, bands hold rounding errors of the package's; both are compared with float64."""
    waveform = (0.5 * np.sin(np.arange(32000) * 0.0864)).astype(np.float32)[None]
    with reproducible_inference():
        theirs = network(torch.from_numpy(waveform))["embedding"].numpy()
        exact = network.double()(torch.from_numpy(waveform).double())["embedding"].numpy()
    network.float()
    ours = embed(waveform)
    assert relative(ours[0], exact[0]) < max(2 * relative(theirs[0], exact[0]), TOLERANCE)
    assert relative(ours[0], theirs[0]) < 5e-5


@pytest.mark.parametrize("own", [False, True], ids=["torchlibrosa's", "trained further"])
def test_the_spectrogram_of_the_checkpoint_is_honoured(network, own):
    """Kernels that are no Fourier transform under a Hann window are used as they are, and the mel filters always."""
    parts = {"spectrogram_extractor": network.spectrogram_extractor, "logmel_extractor": network.logmel_extractor}
    parts = copy.deepcopy(nn.ModuleDict({**parts, "bn0": network.bn0}))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, table in parts.state_dict().items():
            if "_extractor" in name and (own or "melW" in name):
                table *= 1 + 0.1 * torch.rand(table.shape, generator=generator)
    arrays = {name: tensor.numpy() for name, tensor in parts.state_dict().items()}
    kept = without_kernels(arrays, panns._SPECTROGRAM)
    assert len(arrays) - len(kept) == (0 if own else 2)
    model = panns.cnn14()
    model.load_state_dict({name: torch.from_numpy(a) for name, a in kept.items()}, strict=False, assign=True)
    waveform = torch.from_numpy(sound(1, 1.0, 32000))
    with reproducible_inference():
        expected = parts["logmel_extractor"](parts["spectrogram_extractor"](waveform)).transpose(1, 3)
        expected = parts["bn0"](expected)[:, :, :, 0].transpose(1, 2)
        found = LogMel(model.spectrogram_extractor, model.logmel_extractor, model.bn0, torch.device("cpu"))(waveform)
    assert found.shape == expected.shape == (1, 101, 64)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=5e-5)


def test_only_what_the_embedding_needs_is_kept(folder):
    names = set(open_weights(folder))
    assert not {name for name in names if name.startswith(("fc_audioset", "spectrogram_extractor"))}
    assert {"bn0.running_var", "logmel_extractor.melW", "conv_block6.conv2.weight", "fc1.bias"} <= names


# ----------------------------------------------------------------------------------------------------------- policies


def test_the_shortest_clip_is_what_the_original_needs(original):
    shortest = int(panns.Panns.window * 32000)
    assert original(np.zeros((1, shortest), np.float32)).shape == (1, 2048)
    with pytest.raises(RuntimeError, match="(?i)size"):
        original(np.zeros((1, shortest - 1), np.float32))


@pytest.mark.parametrize("policy", ["paper", "corrected"])
def test_shorter_clips_are_repeated(policy):
    audio = sound(2, 0.1, 32000)
    waveform = make(policy).waveform(audio, 32000)
    np.testing.assert_array_equal(waveform, np.resize(audio.mean(axis=0), 9920))
    assert len(make(policy).waveform(sound(1, 0.1, 44100), 44100)) == 9920


def test_paper_takes_a_long_clip_as_a_whole_and_corrected_in_windows(embed, folder, original):
    corrected = make("corrected").load(folder, "cpu")
    waveform = sound(1, 11.0, 32000)
    pieces = np.stack([waveform[0, start * 32000 : (start + 10) * 32000] for start in (0, 1)])
    assert relative(corrected(waveform)[0], original(pieces).mean(axis=0)) < TOLERANCE
    assert relative(embed(waveform)[0], original(waveform)[0]) < TOLERANCE
    assert relative(embed(waveform)[0], corrected(waveform)[0]) > 0.01
    np.testing.assert_array_equal(corrected(pieces), embed(pieces))


@pytest.mark.parametrize("policy", ["paper", "corrected"])
def test_stereo_of_equal_channels_is_mono(policy):
    mono = sound(1, 1.0, 44100)
    one, other = (make(policy).waveform(audio, 44100) for audio in (mono, np.repeat(mono, 2, axis=0)))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("samples", "rate"), [(44103, 44100), (66150, 22050), (12347, 8000), (50001, 48000)])
def test_paper_has_librosas_length(samples, rate):
    import librosa

    audio = sound(2, 1.0, samples)
    assert audio.shape[1] == samples
    expected = librosa.resample(audio.mean(axis=0), orig_sr=rate, target_sr=32000)
    found = make().waveform(audio, rate)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-6)


# ----------------------------------------------------------------------------------------------------------- bad files


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before the zip"])
def test_both_formats_are_read(tmp_path, checkpoint, zipped):
    state = torch.load(checkpoint, weights_only=False, mmap=False)["model"]
    torch.save({"model": state}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    arrays = panns._arrays(tmp_path / "a.pth")
    np.testing.assert_array_equal(arrays["fc1.weight"], state["fc1.weight"].numpy())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda state: state.pop("conv_block3.bn1.bias"), r"1 missing \(conv_block3.bn1.bias\)"),
        (lambda state: state.update(more=torch.zeros(2)), r"1 unexpected \(more\)"),
        (lambda state: state.update({"fc1.bias": torch.zeros(2)}), r"fc1.bias float32 \(2,\), expected .* \(2048,\)"),
        (lambda state: [state.pop(name) for name in [*state] if "block6" in name], r"10 missing \(conv_block6.conv1"),
    ],
)  # fmt: skip
def test_another_architecture_is_refused(tmp_path, change, reason):
    state = panns.cnn14().state_dict()
    state = {name: torch.zeros([1] * tensor.ndim).expand(tensor.shape) for name, tensor in state.items()}
    change(state)
    torch.save({"model": state}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=rf"a\.pth is not a checkpoint of Cnn14 of panns-inference==0.1.1: .*{reason}"):
        weights_source("panns", make(path=str(tmp_path / "a.pth"))).arrays()


def test_where_the_weights_come_from():
    published = weights_source("panns", make()).remote
    assert published.file == "Cnn14_mAP=0.431.pth" and published.size == 327428481
    assert all(url.startswith("https://") and "Cnn14_mAP%3D0.431.pth" in url for url in published.urls)
    assert dict(published.hashes).keys() == {"md5", "sha256"}


def test_options_are_as_params_yaml_has_them():
    document = params.read(REPOSITORY / "params.yaml")["encoders"]["panns"]
    assert check(panns.Panns, document, "encoders.panns") == make(policy=None)


# ------------------------------------------------------------------------------------------------- numbers and settings


def test_torch_is_left_as_it_was(embed, folder):
    before = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.get_rng_state().tolist()
    make().load(folder, "cpu")(np.zeros((1, 32000), np.float32))
    assert before == (torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.get_rng_state().tolist())
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.skipif(not torch.cpu._is_avx512_bf16_supported(), reason="needs a CPU with avx512_bf16")
def test_bfloat16_is_as_exact_as_its_docstring_says(folder, embed, tmp_path):
    """In a process of its own, since oneDNN decides once which instructions it uses."""
    waveforms = np.concatenate([sound(1, 1.0, 32000, seed) for seed in range(3)])
    np.save(tmp_path / "in.npy", waveforms)
    code = f"""
        import sys
        from pathlib import Path
        import numpy
        sys.path.insert(0, {str(REPOSITORY)!r})
        from earshift.encoders.weights.official import OwnWeights
        from earshift.encoders.panns import Panns
        encoder = Panns(policy="paper", precision="bfloat16", weights=OwnWeights(None))
        numpy.save("out.npy", encoder.load(Path({str(folder)!r}), "cpu")(numpy.load("in.npy")))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, check=True)
    found, expected = np.load(tmp_path / "out.npy"), embed(waveforms)
    assert found.dtype == np.float32
    errors = [relative(one, other) for one, other in zip(found, expected, strict=True)]
    assert 1e-5 < max(errors) < 2.5e-2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same(folder, embed):
    waveforms = np.concatenate([sound(1, 3.0, 32000, seed) for seed in range(5)])
    found, expected = make().load(folder, "cuda")(waveforms), embed(waveforms)
    assert max(relative(one, other) for one, other in zip(found, expected, strict=True)) < 1e-4
