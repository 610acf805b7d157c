"""A small world of finished results: what the analyses leave on disk, in their files' shape, with known numbers."""

import json

import numpy as np
import pandas as pd

GRIDS = {
    "gain": ("dB", ["-40", "-31", "-22", "-13", "-4", "5"]),
    "lowpass": ("Hz", ["18333.333", "11257", "6912", "4244", "2605", "1600"]),
    "reverb": ("room size", ["0.01", "0.22", "0.4", "0.61", "0.79", "1"]),
    "bitcrush": ("bits", ["14", "12", "10", "8", "6", "4"]),
}
INSTRUMENTS = ["cello", "flute", "voice"]
DIM = {"mfcc": 144, "musicnn": 753, "yamnet": 1024}
DIRECTIONS = 24
PARAMS = """\
fidelity: corrected
corpus:
  name: general_midi
  on_bad_clip: error
  split: {{folds: 4, seed: 20220419, balance: true, balance_seed: 42}}
  general_midi: {{seed: 20250129, pieces: 8}}
  folder: {{path: null}}
run:
  encoders: [{encoders}]
  perturbations: [{perturbations}]
perturb: {{keep_audio: true, clip: null}}
perturbations:
  gain: {{grid: [-40, -31, -22, -13, -4, 5]}}
  lowpass: {{grid: [1600, 2605, 4244, 6912, 11257, 18333.333]}}
  reverb: {{grid: [0.01, 0.22, 0.4, 0.61, 0.79, 1.0], damping: 0.5}}
  bitcrush: {{grid: [4, 6, 8, 10, 12, 14]}}
encoders:
  mfcc: {{}}
  musicnn: {{model: MSD_musicnn, layer: mean_pool}}
  yamnet: {{}}
cca: {{ridge: 0.001, seed: 0, permutations: 200, bootstrap: 1000, confidence: 0.95}}
svd: {{seed: 0, permutations: 20, confidence: 0.95, energy: 0.9}}
figures: {{instrument: cello}}
compute: {{workers: auto, scheduler: null, device: auto, chunk: 16}}
"""


def write_params(root, encoders, perturbations):
    """params.yaml that selects the given encoders and perturbations."""
    text = PARAMS.format(encoders=", ".join(encoders), perturbations=", ".join(perturbations))
    (root / "params.yaml").write_text(text)


def write_lock(root, encoders, perturbations, corpus="0123456789abcdef0123456789abcdef.dir", track=None):
    """dvc.lock as DVC leaves it while `track` runs; `track` is the entry of an earlier run of `track` itself."""
    stages = {"corpus": {"cmd": "corpus", "outs": [{"path": "data/corpus", "hash": "md5", "md5": corpus}]}}
    for e in encoders:
        for p in perturbations:
            stages[f"embed@{e}-{p}"] = {"cmd": "x", "outs": [{"path": f"data/embeddings/{e}/{p}", "md5": f"{e}{p}"}]}
    stages["track"] = track or {"cmd": "track"}
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}))  # JSON is YAML


def dump(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def r2(published, heldout):
    return {
        "published": published, "published_null_mean": 0.31, "published_null_p95": 0.42, "heldout": heldout,
        "heldout_low": round(heldout - 0.125, 6), "heldout_high": round(heldout + 0.125, 6), "null_mean": 0.0078125,
        "null_p95": 0.046875, "heldout_unregularised": heldout / 2,
    }  # fmt: skip


def ranks(rank, spectrum, originals):
    return {
        "directions": DIRECTIONS, "effective_rank": rank, "effective_rank_low": rank - 0.5,
        "effective_rank_high": rank + 0.5, "rank_at_energy": 5, "null_effective_rank": 21.5,
        "originals_effective_rank": 12.5, "originals_rank_at_energy": 9, "spectrum": list(spectrum),
        "originals_spectrum": list(originals),
    }  # fmt: skip


def write_pair(root, encoder, perturbation, heldout, clips=12, rng=None):
    """Metrics and plot data of one pair; `heldout` is its global held-out R2."""
    rng = rng or np.random.default_rng(0)
    unit, values = GRIDS[perturbation]
    head = {"encoder": encoder, "perturbation": perturbation, "unit": unit, "values": values, "dim": DIM[encoder]}
    strength = np.linspace(0, 1, len(values))
    instruments = {
        name: {"global": r2(0.75, heldout), "samplewise": r2(1.0, 0.375), "train_clips": clips,
               "test_clips": clips // 2, "rows": clips * len(values)}
        for name in INSTRUMENTS
    }  # fmt: skip
    dump(root / f"metrics/cca/{encoder}/{perturbation}.json", {
        **head, "clips": {"train": 24, "test": 12, "invalid": 0, "no_direction": 0}, "global": r2(0.8125, heldout),
        "pooled": r2(0.6875, heldout), "samplewise": r2(1.0, 0.40625), "instruments": instruments, "notes": [],
    })  # fmt: skip
    rank = np.arange(1, DIRECTIONS + 1)
    spectrum, null, originals = np.exp(-(rank - 1) / 4), rank**-0.25, np.exp(-(rank - 1) / 9)
    numbers = ranks(5.25, spectrum.round(6), originals.round(6))
    dump(root / f"metrics/svd/{encoder}/{perturbation}.json", {
        **head, "overall": numbers, "instruments": dict.fromkeys(INSTRUMENTS, numbers), "notes": [],
    })  # fmt: skip

    rows, hist = [], []
    for name in INSTRUMENTS:
        for i in range(clips):
            split = "test" if i % 3 == 2 else "train"
            scores = 2 * heldout * strength + rng.normal(0, 0.3) + rng.normal(0, 0.15, len(values))
            rows += [(name, f"{name}{i}", split, v, s, p) for v, s, p in zip(values, strength, scores, strict=True)]
            hist.append((f"{name}{i}", name, 1.0, float(np.clip(rng.beta(4 * heldout + 0.3, 2), 0, 1))))
    folder = root / f"plots/cca/{encoder}/{perturbation}"
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["instrument", "clip", "split", "value", "strength", "projection"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "scatter.csv", index=False)
    pd.DataFrame(hist, columns=["clip", "instrument", "published", "heldout"]).to_csv(
        folder / "samplewise_r2.csv", index=False
    )
    folder = root / f"plots/svd/{encoder}/{perturbation}"
    folder.mkdir(parents=True, exist_ok=True)
    pd.concat(
        pd.DataFrame({
            "instrument": name, "rank": rank, "directions": spectrum, "null": null, "originals": originals,
            "directions_energy": np.cumsum(spectrum**2) / np.sum(spectrum**2),
            "originals_energy": np.cumsum(originals**2) / np.sum(originals**2),
        })
        for name in ["all", *INSTRUMENTS]
    ).to_csv(folder / "spectrum.csv", index=False)  # fmt: skip


def write_severity(root, perturbation):
    unit, values = GRIDS[perturbation]
    strength = np.linspace(0, 1, len(values))
    folder = root / f"data/perturbed/{perturbation}"
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({
        "value": values, "unit": unit, "strength": strength, "distance_from_neutral": strength,
        "snr_db": [np.nan, *(40 - 45 * strength[1:])], "loudness_lu": -3 * strength, "lsd_db": 1 + 12 * strength,
        "clips": 36,
    }).to_csv(folder / "severity.csv", index=False)  # fmt: skip


def write_results(root, encoders=("mfcc", "musicnn"), perturbations=("gain", "reverb")):
    """Everything the report room reads; held-out R2 grows by 0.125 from pair to pair, from 0.25 on.

    Pictures and summary are stand-ins, which the stages that make them replace.
    """
    write_params(root, encoders, perturbations)
    write_lock(root, encoders, perturbations)
    rng = np.random.default_rng(7)
    for i, (encoder, perturbation) in enumerate((e, p) for e in encoders for p in perturbations):
        write_pair(root, encoder, perturbation, 0.25 + 0.125 * (i % 5), rng=rng)
    for perturbation in perturbations:
        write_severity(root, perturbation)
    (root / "plots/figures").mkdir(parents=True, exist_ok=True)
    for name in ("headline.png", "headline.svg"):
        (root / "plots/figures" / name).write_text(f"stand-in for {name}")
    dump(root / "metrics/summary.json", {})
