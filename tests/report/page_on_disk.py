"""What the report page reads beside the results of the analyses: corpus, vectors, weights, sounds and pictures."""

import base64
import json

import numpy as np
import pandas as pd
from results_on_disk import DIM, GRIDS, INSTRUMENTS, dump

from earshift.storage.hashes import digest
from earshift.storage.vectors import Embeddings, write_embeddings

HEARD = ["cello0", "flute2"]
SOUND = base64.b64encode(b"a sound").decode()
PICTURE = """\
<?xml version="1.0" encoding="utf-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt" viewBox="0 0 72 36" version="1.1">
 <metadata><about>machines</about></metadata>
 <defs>
  <style type="text/css">*{stroke-linejoin: round}</style>
 </defs>
 <!-- a comment -->
 <path d="M 0 0 L 72 36" style="fill: #FFFFFF; stroke: #222222"/>
 <path d="M 0 0 L 36 36" style="stroke: #0072b2"/>
</svg>
"""


def write_page_inputs(root, encoders=("mfcc", "musicnn"), perturbations=("gain", "reverb"), label=lambda name: name):
    """What the report page reads beside the results of the analyses; `label` words the corpus' labels."""
    table = pd.DataFrame([
        {"clip": f"{name}{i}", "group": f"{name}-{i // 2}", "label": label(name), "genre": "", "tags": "",
         "split": "test" if i % 3 == 2 else "train", "seconds": 3.0, "channels": 2, "sample_rate": 44100,
         "valid": i != 11, "problem": "silent" if i == 11 else "", "sha256": f"{name}{i}"}
        for name in INSTRUMENTS for i in range(12)
    ])  # fmt: skip
    (root / "data/corpus").mkdir(parents=True, exist_ok=True)
    table.to_csv(root / "data/corpus/clips.csv", index=False)
    (root / "data/corpus/LICENCE.txt").write_text("Yours to share.\n")
    for encoder in encoders:
        write_vectors(root, encoder, perturbations, table)
        held = None if encoder == "mfcc" else {"file": "weights.npz", "sha256": "ab" * 32}
        dump(root / f"data/models/{encoder}/weights.json", {
            "encoder": encoder, "weights": held, "licence": "ISC", "weights_source": f"the wheel of {encoder}",
            "official": True,
        })  # fmt: skip
    for perturbation in perturbations:
        write_excerpts(root, perturbation)
    names = ["headline", "cca_scatter", "samplewise_r2", "svd_spectra", "severity", "umap_maps", "pca_maps", "paths",
             "roc_auc_instrument", "gains", "ranking", "consistency", "minimum_magnitudes",
             "originals_correlation", "tsne", "marginal_means", "performance", "robustness_accuracy"]  # fmt: skip
    for name in [*names, *(f"{kind}_{encoder}" for encoder in encoders for kind in ("roc_auc", "other_methods"))]:
        (root / f"plots/figures/{name}.svg").write_text(PICTURE)
        (root / f"plots/figures/{name}.png").write_bytes(b"pixels")


def write_vectors(root, encoder, perturbations, clips):
    """Four dimensions: at full strength a clip is 3 from its original along one axis, in proportion below."""
    start = np.random.default_rng(5).normal(0, 1, (len(clips), 4)).astype(np.float32)
    about = {"encoder": encoder, "dim": DIM[encoder], "sample_rate": 16000, "fidelity": "corrected",
             "packages": json.dumps({"numpy": "2.4.6"})}  # fmt: skip
    shifts = {root / f"data/embeddings/{encoder}/original.h5": 0.0}
    for perturbation in perturbations:
        _, values = GRIDS[perturbation]
        folder = root / f"data/embeddings/{encoder}/{perturbation}"
        shifts |= {folder / f"{value}.h5": 3 * i / (len(values) - 1) for i, value in enumerate(values)}
    for path, shift in shifts.items():
        features = start + np.float32([shift, 0, 0, 0])
        write_embeddings(path, Embeddings(features, list(clips["clip"]), clips.valid.to_numpy(), about))
    files = {path.relative_to(root).as_posix(): digest(path) for path in shifts}
    entries = {name: {"key": "0", "basis": "0", "files": {name: sha256}} for name, sha256 in files.items()}
    dump(root / f"data/embeddings/{encoder}/index.json", {"artifacts": entries})


def write_excerpts(root, perturbation, silent=""):
    """What one can hear of a perturbation: two clips at the first, the fourth and the last value."""
    unit, values = GRIDS[perturbation]
    heard = ["original", values[0], values[3], values[-1]]
    dump(root / f"data/excerpts/{perturbation}.json", {
        "perturbation": perturbation, "unit": unit, "silent": silent,
        "clips": [] if silent else [
            {"clip": clip, "excerpts": [{"value": value, "mp3": SOUND} for value in heard]} for clip in HEARD
        ],
    })  # fmt: skip


def change(path, *changes):
    """Set entries of a JSON file: (key, ..., value)."""
    content = json.loads(path.read_text())
    for *keys, last, value in changes:
        place = content
        for key in keys:
            place = place[key]
        place[last] = value
    dump(path, content)
