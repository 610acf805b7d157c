"""Scores against scikit-learn and museval, losses against the study's equations, trivial predictions by hand."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from earshift.training.kim2019 import networks, tasks
from earshift.training.kim2019.tasks import TASKS

OFF = {"linear_mfcc_target": False, "two_sided_mask": False, "unpool_places": False}


def network(outputs=0, skips=False, encoder="vgg"):
    torch.manual_seed(0)
    return networks.Network(encoder, outputs=outputs, channels=1, dropout=0.5, grow="repeat", skips=skips).eval()


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(1)
    mixture, target = (torch.from_numpy(rng.normal(0, 0.1, (3, 44100)).astype(np.float32)) for _ in range(2))
    return {"mixture": mixture + target, "target": target, "label": torch.tensor([0, 2, -1]),
            "tags": torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]])}  # fmt: skip


def museval_metrics():
    """museval's measures; the package itself asks for ffmpeg when it is imported."""
    spec = importlib.util.find_spec("museval")
    path = Path(spec.submodule_search_locations[0]) / "metrics.py"
    spec = importlib.util.spec_from_file_location("museval_metrics", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_clip_auc_is_scikit_learn_s_over_samples(rng):
    from sklearn.metrics import roc_auc_score

    truth = rng.random((40, 12)) < 0.3
    scores = np.round(rng.random((40, 12)), 1)  # with ties
    known = (truth.sum(axis=1) > 0) & (truth.sum(axis=1) < 12)
    found = tasks.clip_auc(scores, truth)
    assert np.isnan(found[~known]).all()
    np.testing.assert_allclose(found[known].mean(), roc_auc_score(truth[known], scores[known], average="samples"))


def test_sdr_is_museval_s(rng):
    metrics = museval_metrics()
    references = rng.normal(0, 0.1, (1, 2 * 22050))
    estimates = references + rng.normal(0, 0.03, references.shape)
    estimates[0, 22050:] *= 0.5
    other = rng.normal(0, 0.1, references.shape)
    expected, *_ = metrics.bss_eval(
        np.stack([references[0], other[0]])[..., None], np.stack([estimates[0], other[0]])[..., None],
        window=22050, hop=22050, compute_permutation=False,
    )  # fmt: skip
    np.testing.assert_allclose(tasks.sdr(estimates, references), np.median(expected[0]), atol=1e-6)


def test_silence_has_no_sdr(rng):
    references = rng.normal(0, 0.1, (2, 2 * 22050))
    references[0] = 0
    references[1, :22050] = 0
    found = tasks.sdr(references + 0.01, references)
    assert np.isnan(found[0])
    expected = 10 * np.log10(np.square(references[1, 22050:]).sum() / (22050 * 0.01**2))
    np.testing.assert_allclose(found[1], expected)


def test_the_autoencoder_s_loss_is_the_mean_square_of_standardised_decibels(batch):
    made = network()
    value, examples = TASKS["autoencoder"].loss(made, batch, OFF)
    magnitude = made.spectrogram.magnitude(batch["mixture"])
    target = made.spectrogram.standardised(magnitude)
    torch.testing.assert_close(value, (made.plane(magnitude) - target).square().mean())
    assert examples == 3
    np.testing.assert_allclose(TASKS["autoencoder"].scores(made, batch, OFF).mean(), float(value.detach()), rtol=1e-5)


def test_mfcc_s_autoencoder_aims_at_magnitudes_where_the_accident_is_on(batch):
    made = network(encoder="mfcc")
    plain, accident = (TASKS["autoencoder"].loss(made, batch, OFF | {"linear_mfcc_target": on})[0]
                       for on in (False, True))  # fmt: skip
    magnitude = made.spectrogram.magnitude(batch["mixture"])
    torch.testing.assert_close(accident, (made.plane(magnitude) - magnitude).square().mean())
    assert plain != accident


def test_separation_is_judged_by_what_it_leaves_where_the_accident_is_on(batch):
    made = network(skips=True)
    plain, both = (TASKS["separation"].loss(made, batch, OFF | {"two_sided_mask": on})[0] for on in (False, True))
    magnitude, wanted = (made.spectrogram.magnitude(batch[name]) for name in ("mixture", "target"))
    mask = made.plane(magnitude).sigmoid()
    torch.testing.assert_close(plain, (mask * magnitude - wanted).abs().mean())
    rest = made.spectrogram.magnitude(batch["mixture"] - batch["target"])
    torch.testing.assert_close(both - plain, ((1 - mask) * magnitude - rest).abs().mean())


def test_a_mask_of_one_gives_the_mixture_back(batch):
    made = network(skips=True)
    made.plane = lambda magnitude: torch.full_like(magnitude, 50.0)
    with torch.inference_mode():
        torch.testing.assert_close(tasks.separate(made, batch["mixture"]), batch["mixture"], atol=1e-5, rtol=0)
        found = TASKS["separation"].scores(made, batch, OFF)
    np.testing.assert_allclose(found, tasks.sdr(batch["mixture"].numpy(), batch["target"].numpy()), atol=1e-3)


def test_instruments_count_right_predictions_and_skip_strangers(batch):
    made = network(outputs=3)
    made.classes = lambda waveforms: torch.tensor([[1.0, 0, 0], [1.0, 0, 0], [0, 0, 1.0]])
    np.testing.assert_array_equal(TASKS["instruments"].scores(made, batch, OFF), [1, 0, np.nan])


@pytest.mark.parametrize("task", TASKS)
def test_the_trivial_prediction(task, batch):
    made = network(outputs=3 if task in ("autotagging", "instruments") else 0, skips=task == "separation")
    prediction = TASKS[task].predict_trivially(made, [batch, batch], OFF)
    found = TASKS[task].baseline(prediction, made, batch, OFF)
    if task == "autoencoder":
        target = made.spectrogram.standardised(made.spectrogram.magnitude(batch["mixture"])).numpy()
        np.testing.assert_allclose(found.mean(), target.var(axis=(0, 2)).mean(), rtol=1e-4)
    elif task == "autotagging":
        np.testing.assert_allclose(prediction, [1 / 3, 1 / 3, 1 / 3])
        np.testing.assert_array_equal(found, [0.5, np.nan, 0.5])
    elif task == "instruments":
        assert prediction in (0, 2) and np.nansum(found) == 1
    else:
        mixture, target = (batch[name].numpy().astype(np.float64) for name in ("mixture", "target"))
        best = min(np.linspace(0, 1, 1001), key=lambda gain: np.square(gain * mixture - target).sum())
        assert abs(prediction - best) < 1e-3
