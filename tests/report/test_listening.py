"""What one hears, and how far the same clip's vectors went."""

import json

import numpy as np
import pytest
from page_on_disk import HEARD, SOUND, write_excerpts

from earshift.errors import UserError
from earshift.pipeline.report_inputs import results
from earshift.report.page import listening
from earshift.report.page.content import read_content


def heard():
    return listening.read_clips(read_content(results()))


def test_clips_with_all_their_sounds(inputs):
    clips, silent = heard()
    assert silent == "" and [clip.clip for clip in clips] == HEARD
    assert [(clip.label, clip.split) for clip in clips] == [("cello", "train"), ("flute", "test")]
    for clip in clips:
        assert (clip.original.value, clip.original.mp3, clip.original.distances) == ("original", SOUND, {})
        assert {p: [s.value for s in sounds] for p, sounds in clip.versions.items()} == {
            "gain": ["-40", "-13", "5"], "reverb": ["0.01", "0.61", "1"]
        }  # fmt: skip


def test_distances_are_the_clips_own(inputs):
    # vectors move by 3 along the grid, 2 between two originals
    for clip in heard()[0]:
        for sounds in clip.versions.values():
            for sound, expected in zip(sounds, (0, 0.9, 1.5), strict=True):
                np.testing.assert_allclose(list(sound.distances.values()), [expected] * 2, atol=1e-6)
                assert list(sound.distances) == ["mfcc", "musicnn"]


def test_one_value_is_enough(inputs):
    for perturbation in ("gain", "reverb"):
        path = inputs / f"data/excerpts/{perturbation}.json"
        content = json.loads(path.read_text())
        for clip in content["clips"]:
            del clip["excerpts"][1:3]
        path.write_text(json.dumps(content))
    (sound,) = heard()[0][0].versions["gain"]
    assert sound.distances == pytest.approx({"mfcc": 1.5, "musicnn": 1.5})


def test_nothing_to_compare_with(inputs):
    path = inputs / "metrics/trajectories/mfcc/gain.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"distance_between_originals": None}))
    clip = heard()[0][0]
    assert np.isnan(clip.versions["gain"][-1].distances["mfcc"])
    assert clip.versions["gain"][-1].distances["musicnn"] == pytest.approx(1.5)


def test_silence_says_why(inputs):
    write_excerpts(inputs, "gain", "the licence forbids it")
    write_excerpts(inputs, "reverb", "the licence forbids it")
    assert heard() == ([], "the licence forbids it")


def test_missing_excerpts_are_named(inputs):
    (inputs / "data/excerpts/reverb.json").unlink()
    with pytest.raises(UserError, match=r"data/excerpts/reverb.json is missing"):
        heard()
