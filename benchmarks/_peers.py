"""The original packages as the first study called them, each in a process of its own: run by benchmarks.encoders.

``python -m benchmarks._peers ENCODER WEIGHTS WAV_FOLDER OUT DEVICE`` imports nothing of this project, so that threads
and instruction sets are what PyTorch chooses. It prints one line of JSON for every line that it reads from standard
input: "call" times the package's own call on clip after clip, "loop" the published loop from audio file over effect to
vector. The vectors of the last one are left in OUT.

The packages come without what they cannot have here: torchaudio's reader is soundfile's, msclap has no text encoder
(its weights are never used for audio), openl3 is torchopenl3's network on windows that are already spectrograms.
"""

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
    """From audio file to vector, and the same on audio that is already loaded."""
    home = Path(tempfile.mkdtemp())
    os.environ["HOME"] = str(home)
    (home / "panns_data").mkdir()
    # the package downloads this list when it is imported; what the classes are called does not matter here
    rows = ["index,mid,display_name", *(f"{n},/m/{n},class {n}" for n in range(527))]
    (home / "panns_data/class_labels_indices.csv").write_text("\n".join(rows) + "\n")
    import librosa
    from panns_inference import AudioTagging

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


def main():
    name, weights, folder, out, device = sys.argv[1:]
    stdout, sys.stdout = sys.stdout, sys.stderr
    import numpy as np

    load, encode = {"panns": panns, "clap": clap}[name](Path(weights), device)
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
    """A gain as the study applied it: pedalboard, file to file, second by second."""
    from pedalboard import Gain, Pedalboard
    from pedalboard.io import AudioFile

    board = Pedalboard([Gain(EFFECT_GAIN)])
    with AudioFile(str(source)) as read, AudioFile(str(target), "w", read.samplerate, read.num_channels) as write:
        while read.tell() < read.frames:
            write.write(board(read.read(read.samplerate), read.samplerate, reset=False))


if __name__ == "__main__":
    main()
