"""Results with known numbers, written through the models that the analyses declare: a key of another name is an error.

Tables have the columns of those that the analyses write (tests/report/test_known_numbers.py holds them together).
"""

import contextlib
import dataclasses
import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from earshift.analysis.significance import SignificanceResult
from earshift.report.results import (
    CcaResult,
    ConsistencyResult,
    PerformanceResult,
    Results,
    RobustnessResult,
    SvdResult,
    TrajectoriesResult,
)
from earshift.storage.results import write_result
from stages import comparison

GRIDS = {
    "gain": ("dB", ["-40", "-31", "-22", "-13", "-4", "5"]),
    "lowpass": ("Hz", ["18333.333", "11257", "6912", "4244", "2605", "1600"]),
    "reverb": ("room size", ["0.01", "0.22", "0.4", "0.61", "0.79", "1"]),
    "bitcrush": ("bits", ["14", "12", "10", "8", "6", "4"]),
    "pitch": ("semitones", ["-12", "-4", "-0.25", "0.25", "4", "12"]),
    "tempo": ("times as fast", ["0.3", "0.7", "0.98", "1.02", "1.2", "1.5"]),
    "ambient_noise": ("dB SNR", ["30", "24", "15", "6", "-3", "-15"]),
}
TWO_SIDED = {"gain": 1, "pitch": 3, "tempo": 3}  # how many values lie above the one that changes nothing
TASKS = {"autoencoder": ("mse", "lower"), "instruments": ("accuracy", "higher"), "autotagging": ("auc", "higher"),
         "separation": ("sdr", "higher")}  # fmt: skip
INSTRUMENTS = ["cello", "flute", "voice"]
DIM = {"mfcc": 144, "musicnn": 753, "yamnet": 1024,
       **dict.fromkeys(("vgg_autoencoder", "vgg_autotagging", "vgg_instruments", "vgg_separation"), 256),
       **dict.fromkeys(("diverse_pitch", "diverse_end_to_end"), 64), "diverse_all": 256}  # fmt: skip
STREAMS = ("pitch", "timbre", "end_to_end", "neuralogram")
DIRECTIONS = 24
# what removing directions is worth: mean AUC over the values minus that of none, trained on originals
AREAS = {
    "none": 0.0, "lda": -0.0625, "average_displacement": -0.001, "pca": 0.002, "pca_normalised": -0.003,
    "cca": -0.03125, "samplewise_cca_svd_0.3": 0.001, "samplewise_cca_svd_0.4": 0.0078125,
    "samplewise_cca_svd_0.5": 0.004, "leace": 0.015625, "conditional_displacement": 0.006, "augmentation": 0.0625,
}  # fmt: skip
DRAWS = 40
PARAMS = Path(__file__).parents[2] / "params.yaml"
MODELS_OF = {
    "cca": CcaResult, "svd": SvdResult, "trajectories": TrajectoriesResult, "robustness": RobustnessResult,
    "consistency": ConsistencyResult, "performance": PerformanceResult,
}  # fmt: skip


def write_params(root, encoders, perturbations):
    """The repository's params.yaml, but for the encoders and perturbations of the run, and what takes long."""
    text = PARAMS.read_text()
    for name, chosen in (("encoders", encoders), ("perturbations", perturbations)):
        text = re.sub(rf"(?m)^  {name}: \[.*\]", f"  {name}: [{', '.join(chosen)}]", text, count=1)
    text = re.sub(r"(?m)^  bootstrap: \d+", f"  bootstrap: {DRAWS}", text)
    text = re.sub(r"(?m)^  permutations: \d+", "  permutations: 9", text)
    text = re.sub(r"(?m)^  workers: \w+", "  workers: 1", text)
    (root / "params.yaml").write_text(text)


def write_lock(root, encoders, perturbations, corpus="0123456789abcdef0123456789abcdef.dir", track=None):
    """dvc.lock as DVC leaves it while `track` runs; `track` is the entry of an earlier run of `track` itself."""
    stages = {"corpus": {"cmd": "corpus", "outs": [{"path": "data/corpus", "hash": "md5", "md5": corpus}]}}
    for kind, folder, items in (("perturb", "perturbed", perturbations), ("embed", "embeddings", encoders)):
        for item in items:
            stages[f"{kind}@{item}"] = {"cmd": "x", "outs": [{"path": f"data/{folder}/{item}", "md5": item}]}
    stages["track"] = track or {"cmd": "track"}
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}))  # JSON is YAML


def write_metrics(root, analysis, encoder, perturbation, content):
    """Write the result of a pair, with what every result begins with."""
    unit, values = GRIDS[perturbation]
    head = {"encoder": encoder, "perturbation": perturbation, "unit": unit, "values": values, "dim": DIM[encoder]}
    write_result(root / f"metrics/{analysis}/{encoder}/{perturbation}.json", MODELS_OF[analysis], {**head, **content})


def dump(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def r2(published, heldout):
    return {
        "published": published, "published_low": published, "published_high": published,
        "published_null_mean": 0.31, "published_null_p95": 0.42, "heldout": heldout,
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
    strength = np.linspace(0, 1, len(values))
    instruments = {
        name: {"global": r2(0.75, heldout), "samplewise": r2(1.0, 0.375), "train_clips": clips,
               "test_clips": clips // 2, "rows": clips * len(values)}
        for name in INSTRUMENTS
    }  # fmt: skip
    write_metrics(root, "cca", encoder, perturbation, {
        "clips": {"train": 24, "test": 12, "invalid": 0, "no_direction": 0}, "global": r2(0.8125, heldout),
        "pooled": r2(0.6875, heldout), "samplewise": r2(1.0, 0.40625), "instruments": instruments, "notes": [],
    })  # fmt: skip
    rank = np.arange(1, DIRECTIONS + 1)
    spectrum, null, originals = np.exp(-(rank - 1) / 4), rank**-0.25, np.exp(-(rank - 1) / 9)
    numbers = ranks(5.25, spectrum.round(6), originals.round(6))
    write_metrics(root, "svd", encoder, perturbation, {
        "overall": numbers, "instruments": dict.fromkeys(INSTRUMENTS, numbers), "notes": [],
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


def write_robustness(root, encoder, perturbation, drop, area=1.0, rng=None):
    """What robustness leaves of one pair; at full strength the untouched classifier loses `drop`, in proportion below.

    The others stand AREAS times `area` above it, at every value alike; backward they lose half as much.
    """
    rng = rng or np.random.default_rng(0)
    unit, values = GRIDS[perturbation]
    strength = np.linspace(0, 1, len(values))
    original = {"roc_auc": 0.9375, "roc_auc_low": 0.90625, "roc_auc_high": 0.96875}
    lost = {"forward": drop * strength, "backward": drop * strength / 2, "matched": drop * strength / 4}
    rows, methods = [], {}
    for method, gain in AREAS.items():
        sections = {"original": {**original, "roc_auc": original["roc_auc"] + gain * area / 4}}
        for direction, of in lost.items():
            if method == "augmentation" and direction != "forward":
                sections[direction] = None
                continue
            sections[direction] = _section(of, 0.0 if method == "none" else gain * area, values)
            if method == "none":
                sections[direction] |= {"p": None, "p_holm": None}
            auc = original["roc_auc"] - of + gain * area
            for name in ["all", *INSTRUMENTS]:
                shift = 0.015625 * INSTRUMENTS.index(name) if name != "all" else 0.0
                bounds = (lambda v: (v - 0.0125, v + 0.0125)) if name == "all" else (lambda v: (None, None))
                start = sections["original"]["roc_auc"]
                rows.append((name, method, direction, "original", None, start - shift, *bounds(start)))
                rows += [
                    (name, method, direction, v, s, a - shift, *bounds(a))
                    for v, s, a in zip(values, strength, auc, strict=True)
                ]
        random = {"forward": 0.875, "backward": None if method == "augmentation" else 0.8125, "matched": None}
        methods[method] = {"problem": "", "instruments": 3, "removed": 0 if method == "none" else 1.5, **sections,
                           "random": random}  # fmt: skip
    write_metrics(root, "robustness", encoder, perturbation, {
        "clips": {"train": 24, "test": 12, "invalid": 0}, "original": original, "methods": methods, "skipped": {},
        "notes": [],
    })  # fmt: skip
    folder = root / f"plots/robustness/{encoder}/{perturbation}"
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["instrument", "method", "direction", "value", "strength", "roc_auc", "low", "high"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "curves.csv", index=False)
    level = original["roc_auc"] + rng.normal(0, 0.01, DRAWS)
    scale = drop + rng.normal(0, 0.01, DRAWS)
    pd.concat(
        pd.DataFrame({"draw": np.arange(DRAWS), "value": value, "roc_auc": level - scale * s})
        for value, s in [("original", 0.0), *zip(values, strength, strict=True)]
    ).to_parquet(folder / "draws.parquet", index=False)
    pd.DataFrame({"instrument": INSTRUMENTS, "roc_auc": 0.9375}).to_parquet(folder / "scores.parquet", index=False)


def _section(lost, gain, values):
    """One direction of one method: mean_auc, drops and area with intervals, as robustness writes them."""
    worst = int(np.argmax(lost))
    drops = lost - gain
    auc = 0.9375 - drops.mean()
    return {
        "mean_auc": auc, "mean_auc_low": auc - 0.03125, "mean_auc_high": auc + 0.03125,
        "mean_drop": drops.mean(), "mean_drop_low": drops.mean() - 0.015625, "mean_drop_high": drops.mean() + 0.015625,
        "worst_drop": drops[worst], "worst_drop_low": drops[worst] - 0.03125, "worst_drop_high": drops[worst] + 0.03125,
        "worst_value": values[worst], "area": gain, "area_low": gain - 0.00390625, "area_high": gain + 0.00390625,
        "p": 0.004 if abs(gain) > 0.005 else 0.25, "p_holm": 0.02 if abs(gain) > 0.005 else 0.5,
    }  # fmt: skip


def write_trajectories(root, encoder, perturbation):
    """What trajectories leaves of one pair."""
    unit, values = GRIDS[perturbation]
    strength = np.linspace(0, 1, len(values))
    numbers = {"straightness": 0.75, "straightness_low": 0.625, "straightness_high": 0.875, "turning_angle": 35.5,
               "turning_angle_low": 30.5, "turning_angle_high": 40.5, "monotonicity": 0.8125,
               "monotonicity_low": 0.75, "monotonicity_high": 0.875, "pca_explained": [0.5, 0.25, 0.125]}  # fmt: skip
    numbers |= {"path_length": 4.0, "displacement": 3.0, "monotone_clips": 0.75, "monotonicity_ridged": 0.75,
                "monotonicity_ridged_low": 0.625, "monotonicity_ridged_high": 0.875,
                "monotone_clips_ridged": 0.5}  # fmt: skip
    instrument = {**numbers, "umap_problem": "", "train_clips": 8, "test_clips": 4, "still": 0}
    of_kinds = ("independent_points", "random_walk", "straight_line")
    write_metrics(root, "trajectories", encoder, perturbation, {
        "clips": {"train": 24, "test": 12, "invalid": 0, "still": 0}, "distance_between_originals": 2.0,
        "references": dict.fromkeys(of_kinds, {"straightness": 0.5, "turning_angle": 90.0}),
        "overall": numbers, "instruments": dict.fromkeys(INSTRUMENTS, instrument), "notes": [],
    })  # fmt: skip
    folder = root / f"plots/trajectories/{encoder}/{perturbation}"
    folder.mkdir(parents=True, exist_ok=True)
    n = len(values)
    pd.concat(
        pd.DataFrame({
            "instrument": name, "value": values, "strength": strength, "distance_from_original": 1 + 3 * strength,
            "step_length": [None, *[0.75] * (n - 1)], "step_share": [None, *[1 / (n - 1)] * (n - 1)],
            "turning_angle": [None, *[35.5] * (n - 2), None],
        })
        for name in ["all", *INSTRUMENTS]
    ).to_csv(folder / "path.csv", index=False)  # fmt: skip
    rng = np.random.default_rng(3)
    pd.DataFrame([
        {"instrument": name, "clip": f"{name}{i}", "value": value, "strength": s, "umap_1": rng.normal(),
         "umap_2": rng.normal(), "pc_1": rng.normal(), "pc_2": rng.normal()}
        for name in INSTRUMENTS for i in range(3)
        for value, s in [("original", None), *zip(values, strength, strict=True)]
    ]).to_csv(folder / "points.csv", index=False)  # fmt: skip


def write_consistency(root, encoder, perturbation, kept=0.5):
    """What consistency leaves of one pair; at the last value DTW keeps 7 of 8 clips and the Euclidean distance the
    share `kept`, in proportion before.
    """
    unit, values = GRIDS[perturbation]
    strength = np.linspace(0, 1, len(values))
    shares = {("dtw", ""): 1 - strength / 8, ("simple", ""): 1 - strength / 4,
              ("", "euclidean"): 1 - (1 - kept) * strength, ("", "cosine"): 1 - (1 - kept) * strength / 2}  # fmt: skip
    measures = {("within", *names): of for names, of in shares.items()}
    for (a, _), (_, z) in ((a, z) for a in list(shares)[:2] for z in list(shares)[2:]):
        measures["between_agreement", a, z] = 1 - np.abs(shares[a, ""] - shares["", z])
        measures["between_spearman", a, z] = np.full(len(values), kept / 2)
        measures["own_spearman", a, z] = np.full(len(values), -kept / 4)
    rows = [
        (*key, value, s, number, number - 0.03125, min(number + 0.03125, 1), 36)
        for key, of in measures.items()
        for value, s, number in zip(values, strength, of, strict=True)
    ]
    overall, originals = {}, {}
    for key, of in measures.items():
        name, mean = "_".join(filter(None, key)), float(np.mean(of))
        overall |= {name: mean, f"{name}_low": mean - 0.015625, f"{name}_high": min(mean + 0.015625, 1.0)}
        if key[0] == "own_spearman":
            name = name.replace("own", "originals")
            originals |= {name: kept, f"{name}_low": kept - 0.125, f"{name}_high": kept + 0.125}
    ways = {"all": values}
    if perturbation in TWO_SIDED:
        below = len(values) - TWO_SIDED[perturbation]
        ways = {"below": values[:below][::-1], "above": values[below:]}
    names = {a or z: dict(zip(values, of, strict=True)) for (a, z), of in shares.items()}
    sides = {
        side: {
            "values": of, "smallest": of[0], "distance_from_neutral": None if side == "all" else abs(float(of[0])),
            "at_smallest": {name: within[of[0]] for name, within in names.items()},
            "falls_below": {n: next((v for v in of if within[v] < 0.9), None) for n, within in names.items()},
        }
        for side, of in ways.items()
    }  # fmt: skip
    write_metrics(root, "consistency", encoder, perturbation, {
        "clips": {"used": 36, "recordings": 18, "invalid": 0, "twins": dict.fromkeys(names, 0)},
        "audio": ["dtw", "simple"], "latent": ["euclidean", "cosine"], "threshold": 0.9,
        "overall": overall, "originals": originals, "sides": sides, "notes": [],
    })  # fmt: skip
    folder = root / f"plots/consistency/{encoder}/{perturbation}"
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["measure", "audio", "latent", "value", "strength", "number", "low", "high", "clips"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "curves.csv", index=False)


def write_performance(root, encoder, perturbation, tasks=None):
    """How well an encoder's networks do: `tasks` is {task: (number on originals, number at the last value)}."""
    unit, values = GRIDS[perturbation]
    strength, rows, about = np.linspace(0, 1, len(values)), [], {}
    for task, (original, last) in (tasks or {}).items():
        metric, better = TASKS[task]
        about[task] = {"metric": metric, "better": better, "original": original, "original_low": original - 0.03125,
                       "original_high": original + 0.03125, "baseline": 0.125, "clips": 12,
                       "mean": (original + last) / 2}  # fmt: skip
        numbers = original + (last - original) * strength
        rows += [(task, metric, value, s, number, number - 0.03125, number + 0.03125, 12)
                 for value, s, number in zip(values, strength, numbers, strict=True)]  # fmt: skip
    write_metrics(root, "performance", encoder, perturbation, {"tasks": about})  # fmt: skip
    folder = root / f"plots/performance/{encoder}/{perturbation}"
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["task", "metric", "value", "strength", "number", "low", "high", "clips"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "curves.csv", index=False)


MODELS = ("within_euclidean", "within_cosine", "between_agreement_simple_cosine", "between_spearman_dtw_euclidean",
          "within_dtw", "performance")  # fmt: skip


def write_significance(root, encoders, perturbations, means=None):
    """Models of :data:`MODELS`, or none where there is no encoder; `means` is {model: {encoder: mean}}, else every
    encoder's mean is 0.125 less than that of the one before it, from 0.875 on.
    """
    usual = {encoder: 0.875 - 0.125 * i for i, encoder in enumerate(encoders)}
    models, rows = {}, []
    for name in MODELS if encoders else ():
        factors = {"perturbation": dict.fromkeys(perturbations, 0.75)}
        if name != "within_dtw":
            factors["encoder"] = (means or {}).get(name, usual)
        if name == "performance":
            factors["task"] = {"autoencoder": 0.25, "instruments": 0.5}
        of = {factor: {level: {"mean": mean, "se": 0.01, "low": mean - 0.03125, "high": mean + 0.03125}
                       for level, mean in levels.items()} for factor, levels in factors.items()}  # fmt: skip
        term = {"f": 48.0, "df": 1, "residual_df": 20.0, "p": 0.001}
        models[name] = {"title": name, "response": name, "observations": 24, "r2": 0.9375, "edf": 4.0,
                        "residual_df": 20.0, "scale": 0.01, "terms": {**dict.fromkeys(factors, term),
                        "encoder:perturbation": term}, "means": of, "notes": []}  # fmt: skip
        rows += [(name, factor, level, *number.values()) for factor, levels in of.items()
                 for level, number in levels.items()]  # fmt: skip
    content = {"confidence": 0.95, "models": models, "notes": []}
    write_result(root / "metrics/significance.json", SignificanceResult, content)
    folder = root / "plots/significance"
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["model", "factor", "level", "mean", "se", "low", "high"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "means.csv", index=False)


def write_tsne(root, encoder, perturbations):
    """A map of six clips: as they are, and the first value of every perturbation, a step to the right."""
    folder, rows = root / "plots/tsne", []
    for step, (name, value) in enumerate([("original", "original"), *((p, GRIDS[p][1][0]) for p in perturbations)]):
        rows += [(f"{label}{i}", f"{label}-{i}", label, name, value, i + step / 8, INSTRUMENTS.index(label))
                 for label in INSTRUMENTS for i in range(2)]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["clip", "group", "label", "perturbation", "value", "x", "y"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / f"{encoder}.csv", index=False)


def write_combination(root, singles=(0.125, 0.25, 0.375, 0.5), more=0.125, error=0.0625, tags=("Bark", "NA", "Rain")):
    """What the training of diverse_all leaves: streams alone have the mAP `singles`, a subset that of its best stream
    and `more` for every other one, all with `error` on either side; top-5 accuracy is 1/16 higher.
    """
    rows, classes = [], []
    for number in range(1, len(STREAMS) + 1):
        for subset in combinations(range(len(STREAMS)), number):
            name, mean = "+".join(STREAMS[i] for i in subset), max(singles[i] for i in subset) + more * (number - 1)
            rows.append({"subset": name, "streams": number, "map": mean, "map_low": mean - error,
                         "map_high": mean + error, "top5": mean + 0.0625, "top5_low": mean + 0.0625 - error,
                         "top5_high": mean + 0.0625 + error, "top5_recall": mean, "chance_map": 0.0625, "clips": 24,
                         "chunks": 72})  # fmt: skip
            if number in (1, len(STREAMS)):  # a tag of no clip has no average precision
                classes += [
                    {"subset": name, "tag": tag, "positives": 4 * i, "average_precision": mean - i / 16 if i else None}
                    for i, tag in enumerate(tags)
                ]
    folder = root / "data/models/diverse_all"
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / "subsets.csv", index=False)
    pd.DataFrame(classes).to_csv(folder / "classes.csv", index=False)


def write_comparison(root):
    """What comparison makes of the rest."""
    with contextlib.chdir(root), contextlib.redirect_stdout(None):
        comparison.main()


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
    """Everything the report room reads; held-out R2 grows by 0.125 from pair to pair, from 0.25 on, the AUC that full
    strength costs by 0.0625 from 0.125 on.

    Pictures and summary are stand-ins, which the stages that make them replace.
    """
    write_params(root, encoders, perturbations)
    write_lock(root, encoders, perturbations)
    rng = np.random.default_rng(7)
    for i, (encoder, perturbation) in enumerate((e, p) for e in encoders for p in perturbations):
        write_pair(root, encoder, perturbation, 0.25 + 0.125 * (i % 5), rng=rng)
        write_robustness(root, encoder, perturbation, 0.125 + 0.0625 * (i % 5), rng=rng)
        write_trajectories(root, encoder, perturbation)
        write_consistency(root, encoder, perturbation, kept=0.5 - 0.0625 * (i % 5))
        tasks = {"autoencoder": (0.5, 0.75), "instruments": (0.75 - 0.125 * (i % 2), 0.25)}
        write_performance(root, encoder, perturbation, {} if encoder == "mfcc" else tasks)
    for encoder in encoders:
        (root / f"data/models/{encoder}").mkdir(parents=True, exist_ok=True)
        write_tsne(root, encoder, perturbations)
    write_significance(root, encoders, perturbations)
    for perturbation in perturbations:
        write_severity(root, perturbation)
    write_comparison(root)
    (root / "plots/figures").mkdir(parents=True, exist_ok=True)
    for name in ("headline.png", "headline.svg"):
        (root / "plots/figures" / name).write_text(f"stand-in for {name}")
    dump(root / "metrics/summary.json", {})
    dump(root / "metrics/headline.json", {"heldout_r2": 0.5})
    (root / "report").mkdir(exist_ok=True)
    (root / "report/page.html").write_text("stand-in for the page")


def with_study(results, **changes):
    """The same results, asked for otherwise."""
    return Results(dataclasses.replace(results.study, **changes), results.folders)
