"""The corpus under every value as audio to read: kept or perturbed on the way, in whatever parts."""

import numpy as np
import pytest

from earshift.errors import UserError
from earshift.perturbations.base import ORIGINAL
from earshift.pipeline.audio_files import corpus_audio_path
from earshift.pipeline.perturb import perturb
from earshift.pipeline.versions import audio_versions, version_batches, with_audio
from earshift.storage.packed_audio import AudioReader


@pytest.fixture
def versions(tiny_corpus, edited):
    """Run perturb and list the versions; returns (versions, the table of clips)."""

    def make(perturbation, **changes):
        params = edited({"perturbations.gain.grid": [-20, 5], "compute.workers": 1, **changes})
        if perturbation != ORIGINAL:
            perturb(params, perturbation)
        return list(with_audio(audio_versions(params, perturbation, tiny_corpus), params)), tiny_corpus

    return make


def everything(version, clips, size):
    return [clip for batch in version_batches(version, range(len(clips)), size) for clip in batch.read()]


def same(first, second):
    return all((a == b).all() and rate == other for (a, rate), (b, other) in zip(first, second, strict=True))


def test_original_is_the_corpus(versions):
    (version,), clips = versions(ORIGINAL)
    with AudioReader(corpus_audio_path()) as reader:
        assert same(everything(version, clips, 3), [reader[i] for i in range(len(reader))])


def test_each_value_is_applied(versions):
    (quiet, loud), clips = versions("gain")
    assert [quiet.value, loud.value] == ["-20", "5"]
    (original,), _ = versions(ORIGINAL)
    for version, gain in ((quiet, -20), (loud, 5)):
        for (audio, _), (plain, _) in zip(everything(version, clips, 2), everything(original, clips, 2), strict=True):
            np.testing.assert_allclose(audio, plain * 10 ** (gain / 20), rtol=1e-5)


def test_kept_audio_is_read_and_is_the_same(versions):
    applied, clips = versions("gain")
    kept, _ = versions("gain", **{"perturb.keep_audio": True})
    assert [v.recipe is None for v in applied] == [False, False] and [v.recipe is None for v in kept] == [True, True]
    assert [v.key for v in applied] == [v.key for v in kept]
    expected = [everything(version, clips, 3) for version in applied]
    corpus_audio_path().unlink()  # so that what was kept must be read
    assert all(same(everything(version, clips, 3), audio) for version, audio in zip(kept, expected, strict=True))


@pytest.mark.parametrize("fidelity", ["corrected", "paper"])
def test_parts_make_no_difference_even_where_an_effect_has_a_tail(versions, fidelity):
    (version, *_), clips = versions("reverb", fidelity=fidelity)
    assert same(everything(version, clips, 1), everything(version, clips, 100))


def test_a_perturbation_that_is_not_configured(versions, edited):
    with pytest.raises(UserError, match="unknown perturbation 'gian'; params.yaml configures "):
        audio_versions(edited({}), "gian", None)
