"""The original packages as deng2025 called them, each in its own process: run by benchmarks.encoders.

``python -m benchmarks._peers ENCODER WEIGHTS WAV_FOLDER OUT DEVICE`` imports nothing of this project, so that PyTorch
chooses threads and instruction sets. It prints one line of JSON for every line that it reads from standard input:
"call" times the package's own call on one clip after another, "loop" the published loop from audio file over effect to
vector. It writes the vectors of the last one to OUT.

Parts that are not installed are replaced: soundfile reads audio in place of torchaudio, and msclap has no text encoder,
which audio does not pass. openl3 has only its network, on spectrograms, and therefore no loop.
"""

import functools
import json
import os
import resource
import sys
import tempfile
import time
import types
from pathlib import Path

EFFECT_GAIN = -10.0  # dB


def panns(weights, device):
    """From audio file to vector; the second function takes audio that is already loaded."""
    home = Path(tempfile.mkdtemp())
    os.environ["HOME"] = str(home)
    (home / "panns_data").mkdir()
    # the package downloads this list when it is imported; the names of the classes do not matter here
    rows = ["index,mid,display_name", *(f"{n},/m/{n},class {n}" for n in range(527))]
    (home / "panns_data/class_labels_indices.csv").write_text("\n".join(rows) + "\n")
    import librosa
    import torch
    from panns_inference import AudioTagging

    # the package relies on the default of PyTorch before 2.6; this benchmark itself has just written the file
    torch.load = functools.partial(torch.load, weights_only=False)
    tagger = AudioTagging(checkpoint_path=str(weights), device=device)

    def load(path):
        audio, _ = librosa.load(path, sr=32000, mono=True)
        return audio[None]

    return load, lambda audio: tagger.inference(audio)[1][0]


def clap(weights, device):
    import soundfile
    import torch

    audio = types.ModuleType("torchaudio")
    audio.load = lambda path: (lambda data, rate: (torch.from_numpy(data.T.copy()), rate))(
        *soundfile.read(path, dtype="float32", always_2d=True)
    )
    audio.transforms = types.ModuleType("torchaudio.transforms")
    for name, module in {"torchaudio": audio, "torchaudio.transforms": audio.transforms}.items():
        sys.modules[name] = module
    text = types.ModuleType("transformers")
    text.AutoTokenizer = text.AutoModel = text.GPT2LMHeadModel = None
    text.logging = types.SimpleNamespace(set_verbosity_error=lambda: None)
    sys.modules["transformers"] = text
    if "huggingface_hub" not in sys.modules:
        hub, files = types.ModuleType("huggingface_hub"), types.ModuleType("huggingface_hub.file_download")
        files.hf_hub_download = None
        sys.modules.update({"huggingface_hub": hub, "huggingface_hub.file_download": files})
    from msclap.CLAPWrapper import CLAPWrapper
    from msclap.models import clap as models

    models.TextEncoder = lambda *_: torch.nn.Identity()
    wrapper = CLAPWrapper.__new__(CLAPWrapper)
    wrapper.model_fp, wrapper.use_cuda = weights, device == "cuda"
    wrapper.np_str_obj_array_pattern = __import__("re").compile(r"[SaUO]")
    wrapper.config_as_str = (Path(models.__file__).parents[1] / "configs/config_2023.yml").read_text()
    sys.modules["msclap.CLAPWrapper"].AutoTokenizer = types.SimpleNamespace(
        from_pretrained=lambda _: types.SimpleNamespace(add_special_tokens=lambda _: None)
    )
    wrapper.clap, _, wrapper.args = wrapper.load_clap()
    return str, lambda path: wrapper.get_audio_embeddings([path])[0].cpu().numpy()


def openl3(weights, device):
    """From spectrograms of windows, in spectra.npy, to a vector; with TensorFlow where it is installed."""
    import importlib.util

    import h5py
    import numpy as np

    spectra = np.load("spectra.npy", mmap_mode="r")
    with h5py.File(weights) as file:
        groups = (file[name] for name in file.attrs["layer_names"])
        layers = [[group[name][:] for name in group.attrs["weight_names"]] for group in groups]
    build = _in_tensorflow if importlib.util.find_spec("tensorflow") else _in_torch
    network = build([arrays for arrays in layers if arrays], spectra.shape[2:], device)
    files = sorted(Path("wav").glob("*.wav"))
    return lambda path: np.array(spectra[files.index(path)]), lambda windows: network(windows).mean(axis=0)


def _in_tensorflow(layers, shape, device):
    import tensorflow as tf

    layer = tf.keras.layers
    built = [layer.Input((*shape, 1)), layer.BatchNormalization()]
    for number, channels in enumerate((64, 64, 128, 128, 256, 256, 512, 512)):
        built.append(layer.Conv2D(channels, 3, padding="same"))
        if number < 7:
            built += [layer.BatchNormalization(), layer.ReLU()]
        if number in (1, 3, 5):
            built.append(layer.MaxPooling2D(2))
    model = tf.keras.Sequential([*built, layer.GlobalMaxPooling2D()])
    for target, arrays in zip((each for each in model.layers if each.get_weights()), layers, strict=True):
        target.set_weights(arrays)
    call = tf.function(lambda windows: model(windows, training=False))
    return lambda windows: call(tf.constant(windows[..., None])).numpy()


def _in_torch(layers, shape, device):
    import torch
    from torch.nn import functional as F

    layers = [[torch.from_numpy(array).to(device) for array in arrays] for arrays in layers]
    kernels = [arrays[0].permute(3, 2, 0, 1).contiguous() for arrays in layers[1::2]]

    def normalised(maps, gamma, beta, mean, variance):
        return F.batch_norm(maps, mean, variance, gamma, beta, eps=1e-3)

    @torch.inference_mode()
    def network(windows):
        maps = normalised(torch.from_numpy(windows)[:, None].to(device), *layers[0])
        for number, kernel in enumerate(kernels):
            maps = F.conv2d(maps, kernel, layers[1 + 2 * number][1], padding=1)
            if number < 7:
                maps = normalised(maps, *layers[2 + 2 * number]).relu_()
            if number in (1, 3, 5):
                maps = F.max_pool2d(maps, 2)
        return maps.amax((2, 3)).cpu().numpy()

    return network


def main():
    name, weights, folder, out, device = sys.argv[1:]
    stdout, sys.stdout = sys.stdout, sys.stderr
    import numpy as np

    load, encode = {"panns": panns, "clap": clap, "openl3": openl3}[name](Path(weights), device)
    files = sorted(Path(folder).glob("*.wav"))
    encode(load(files[0]))
    for line in sys.stdin:
        vectors = []
        if line.strip() == "call":
            loaded = [load(path) for path in files]
            start = time.perf_counter()
            vectors = [encode(audio) for audio in loaded]
        else:
            start = time.perf_counter()
            for path in files:
                effected = Path(out).with_suffix(".wav")
                _effect(path, effected)
                vectors.append(encode(load(effected)))
        seconds = time.perf_counter() - start
        np.save(out, np.stack(vectors))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({"seconds": seconds / len(files), "memory": memory}), file=stdout, flush=True)


def _effect(source, target):
    """A gain as deng2025 applied it: pedalboard, from file to file, in blocks of a second."""
    from pedalboard import Gain, Pedalboard
    from pedalboard.io import AudioFile

    board = Pedalboard([Gain(EFFECT_GAIN)])
    with AudioFile(str(source)) as read, AudioFile(str(target), "w", read.samplerate, read.num_channels) as write:
        while read.tell() < read.frames:
            write.write(board(read.read(read.samplerate), read.samplerate, reset=False))


if __name__ == "__main__":
    main()
