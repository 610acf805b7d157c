"""``python -m fuzz.seeds``: writes one or two whole files for every target, fuzz/corpus/NAME/whole-*, to begin with.

To be run again where a format of this repository changes.
"""

import gzip
import io
import json
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np

from fuzz import campaign
from fuzz.pieces import SEPARATOR

_TESTS = Path(__file__).parents[1] / "tests"


def seeds():
    """Whole inputs by target, a list each."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        return {
            "params": _params(),
            "params_yaml": [Path(__file__).parents[1].joinpath("params.yaml").read_bytes()],
            "table_folder": [
                b"file,label,group,split,genre,tags\na.wav,cello,one,train,jazz,slow|loud\nb/c.wav,,,test,,\n"
            ],
            "table_irmas": [
                b",file_name,split,instrument,genre\n0,[cel][cla]0001__1,train,cello,classical\n"
                b"1,[gac][dru][pop_roc]0002__3.wav,test,guitar_acc,pop_roc\n"
            ],
            "fsd50k": [
                SEPARATOR.join(
                    (
                        b"0,Bark,/m/1\n1,Dog,/m/2\n",
                        b'fname,labels,mids,split\n1,"Bark,Dog","/m/1,/m/2",val\n',
                        b"fname,labels,mids\n2,Dog,/m/2\n",
                        _wav(300),
                    )
                )
            ],
            "clips_csv": [
                b"clip,group,label,genre,split,tags,seconds,channels,sample_rate,valid,problem,sha256\n"
                b"a,one,cello,,train,slow|loud,0.5,2,44100,True,,abc\nb,two,,,unused,,0,1,0,False,silent,def\n"
            ],
            "packed_audio": _packed(place),
            "embeddings": _embeddings(place),
            "audio": _sounds(),
            "wav_header": [_wav(20), _wav(20, subtype="PCM_24")],
            "archive": [_zip(zipfile.ZIP_STORED), _zip(zipfile.ZIP_DEFLATED)],
            "archive_parts": [_parts()],
            "torch_checkpoint": _torch(),
            "keras_checkpoint": _keras(place),
            "tf_checkpoint": [_bundle()],
            "weights": [_weights(place)],
            "results": _results(place),
        }


def _params():
    from earshift.pipeline import config as params

    content = params.read(Path(__file__).parents[1] / "params.yaml")
    return [json.dumps(content).encode()]


def _wav(frames, subtype="PCM_16", channels=1, sample_rate=44100, format="WAV"):
    import soundfile

    audio = 0.3 * np.sin(np.arange(frames * channels)).reshape(frames, channels)
    file = io.BytesIO()
    soundfile.write(file, audio, sample_rate, format=format, subtype=subtype)
    return file.getvalue()


def _sounds():
    forms = (
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
        ("AIFF", "PCM_24"),
        ("AU", "ULAW"),
        ("CAF", "ALAC_16"),
        ("W64", "PCM_16"),
        ("RF64", "PCM_16"),
        ("WAV", "IMA_ADPCM"),
        ("WAV", "GSM610"),
        ("NIST", "PCM_16"),
        ("VOC", "PCM_16"),
        ("MAT5", "DOUBLE"),
        ("SVX", "PCM_16"),
        ("WAVEX", "ALAW"),
    )
    return [
        _wav(
            600,
            subtype,
            1 if subtype in ("GSM610",) or format == "SVX" else 2,
            48000 if subtype == "OPUS" else 8000,
            format,
        )
        for format, subtype in forms
    ]


def _packed(place):
    from earshift.storage import packed_audio
    from earshift.storage.packed_audio import AudioWriter

    found = []
    for dtype in ("int16", "float32"):
        packed_audio._CHUNK = packed_audio._TABLE_CHUNK = 16  # small chunks, small inputs
        with AudioWriter(place / "packed.h5", dtype=dtype, attributes={"fingerprint": "f", "corpus": "c"}) as writer:
            for channels, frames in ((2, 30), (1, 0), (1, 50)):
                writer.append(np.ones((channels, frames), dtype=dtype), 44100)
        found.append((place / "packed.h5").read_bytes())
    return found


def _embeddings(place):
    from earshift.storage.distances import Distances, write_distances
    from earshift.storage.vectors import Embeddings, write_embeddings

    path = place / "vectors.h5"
    about = {"encoder": "mfcc", "fingerprint": "f", "strength": 0.5}
    write_embeddings(
        path, Embeddings(np.ones((3, 4), np.float32), ["a", "b", "é"], np.array([True, False, True]), about)
    )
    first = path.read_bytes()
    write_distances(path, Distances({"dtw": np.ones((2, 2), np.float32)}, ["a", "b"], np.array([True, True]), about))
    return [first, path.read_bytes()]


def _zip(method):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name in ("IRMAS-TrainingData/cel/[cel][cla]0001__1.wav", "FSD50K.dev_audio/1.wav", "é/"):
            archive.writestr(zipfile.ZipInfo(name), _wav(40) if name.endswith("v") else b"", method)
    return file.getvalue()


def _parts():
    """As ``zip -s`` writes it: a mark, then the archive, cut; its directory counts by part."""
    content, cut = b"PK\7\x08" + _zip(zipfile.ZIP_STORED), 100
    at = content.rindex(b"PK\5\6")
    directory = int.from_bytes(content[at + 16 : at + 20], "little") + 4
    out, entry = bytearray(content), directory
    while out[entry : entry + 4] == b"PK\1\2":
        place = int.from_bytes(out[entry + 42 : entry + 46], "little") + 4
        part, place = (0, place) if place < cut else (1, place - cut) if place < 2 * cut else (2, place - 2 * cut)
        out[entry + 34 : entry + 36], out[entry + 42 : entry + 46] = (
            part.to_bytes(2, "little"),
            place.to_bytes(4, "little"),
        )
        entry += 46 + sum(int.from_bytes(out[entry + i : entry + i + 2], "little") for i in (28, 30, 32))
    out[at + 4 : at + 8] = b"\2\0\2\0"
    out[at + 16 : at + 20] = (directory - 2 * cut).to_bytes(4, "little")
    return SEPARATOR.join((bytes(out[:cut]), bytes(out[cut : 2 * cut]), bytes(out[2 * cut :])))


def _torch():
    import torch

    found = []
    for zipped in (True, False):
        file = io.BytesIO()
        state = {"weight": torch.ones(3, 2), "bias": torch.ones(3, dtype=torch.float16)}
        content = {"model": state, "mAP": np.float64(0.5), "epoch": 3, "index": np.arange(2)}
        torch.save(content, file, _use_new_zipfile_serialization=zipped)
        found.append(file.getvalue())
    return found


def _keras(place):
    from benchmarks.mirror.openl3 import write_layers

    layers = [("input", []), ("one", [("b:0", np.ones(2, np.float32)), ("a:0", np.ones((2, 1), np.float32))]),
              ("two", [("k:0", np.ones((2, 3), np.float32))])]  # fmt: skip
    write_layers(place / "weights.h5", layers)
    content = (place / "weights.h5").read_bytes()
    return [content, gzip.compress(content, mtime=0)]


def _bundle():
    sys.path.insert(0, str(_TESTS / "encode"))
    from test_tf_checkpoint import ARRAYS, bundle

    return SEPARATOR.join(bundle(ARRAYS))


def _weights(place):
    np.savez(place / "weights.npz", a=np.ones((2, 3), np.float32), b=np.arange(4))
    record = {"encoder": "x", "weights": {"file": "weights.npz", "sha256": "SHA256"}, "official": True}
    return json.dumps(record).encode() + SEPARATOR + (place / "weights.npz").read_bytes()


def _results(place):
    sys.path.insert(0, str(_TESTS / "report"))
    from results_on_disk import write_pair

    write_pair(place, "mfcc", "gain", 0.25, clips=3)
    names = ("metrics/cca/mfcc/gain.json", "plots/svd/mfcc/gain/spectrum.csv")
    return [f"{name}\n".encode() + (place / name).read_bytes() for name in names]


def main():
    warnings.simplefilter("ignore")
    for name, inputs in seeds().items():
        folder = campaign.HOME / "corpus" / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("whole-*"):
            old.unlink()
        for number, data in enumerate(inputs):
            (folder / f"whole-{number}").write_bytes(data)


if __name__ == "__main__":
    main()
