"""What every corpus found by the scan must keep, as params.yaml configures it and with what it needs to be small."""

import dataclasses
import json
import pickle
from typing import Any, get_type_hints

import numpy as np
import pandas as pd
import pytest

import earshift.corpora
from benchmarks.mirror import fsd50k as fsd50k_layout
from benchmarks.mirror import irmas as irmas_layout
from earshift.corpora.base import TAG_SEPARATOR, Clip, Corpus
from earshift.corpora.split import UNUSED, Split, assign_splits
from earshift.options import check
from earshift.pipeline import config as params
from earshift.plugins import find_plugins

CORPORA = find_plugins(earshift.corpora, Corpus)
CONFIGURED = params.read()["corpus"]


# By corpus, what of a clip tells the recording that it was cut from, as the data set's own documentation has it
OF_ONE_RECORDING = {
    "folder": lambda clip: clip.clip.partition("#")[0],
    "tagged": lambda clip: clip.clip.partition("#")[0],
    "fsd50k": lambda clip: clip.clip,
    "general_midi": lambda clip: clip.clip.rpartition("]")[2].partition("__")[0],
    "irmas": lambda clip: clip.clip.rpartition("]")[2].partition("__")[0],
    "musdb18": lambda clip: clip.clip.rpartition("#")[0],
    "soundscapes": lambda clip: clip.group,  # a mixture; the sound that it is built around
}


@pytest.fixture(params=sorted(CORPORA))
def corpus(request, mixed, tmp_path, track):
    name = request.param
    assert name in CONFIGURED, f"params.yaml has no section corpus.{name}"
    small = {"soundscapes": {"count": 12, "longest": 1.0}, "tagged": {"path": str(mixed)}}
    small |= {"general_midi": {"pieces": 1, "excerpts": 2, "clip_seconds": 0.5}}
    small |= {"folder": {"path": str(mixed), "clip_seconds": 0.25}}
    if name == "irmas":
        small[name] = {"root": str(irmas_layout.write(tmp_path, pieces=3))}
    if name == "fsd50k":
        small[name] = {"root": str(fsd50k_layout.write(tmp_path / "fsd50k"))}
    if name == "musdb18":
        folders = [track("A - One"), track("B - Two"), track("C - Three", "test")]
        small[name] = {"root": str(folders[0].parents[1]), "clip_seconds": 0.5}
    return check(CORPORA[name], CONFIGURED[name] | small.get(name, {}), f"corpus.{name}")


@pytest.fixture
def some(corpus):
    """Some of its recordings, from the first to the last."""
    recordings = corpus.recordings()
    return recordings[:: max(len(recordings) // 6, 1)]


def test_says_what_it_is(corpus):
    assert isinstance(corpus, Corpus) and type(corpus).__doc__
    assert corpus.name == type(corpus).name and corpus.licence and "\n" not in corpus.licence
    assert isinstance(corpus.shareable, bool)
    with pytest.raises(dataclasses.FrozenInstanceError):
        corpus.name = "other"


def test_every_option_has_a_type_and_no_default(corpus):
    hints = get_type_hints(type(corpus), include_extras=True)
    for option in dataclasses.fields(corpus):
        assert hints[option.name] not in (object, Any)
        assert option.default is dataclasses.MISSING and option.default_factory is dataclasses.MISSING


def test_travels_to_workers(corpus, some):
    assert pickle.loads(pickle.dumps(corpus)) == corpus
    assert pickle.loads(pickle.dumps(some)) == some


def test_lists_the_same_again(corpus):
    recordings = corpus.recordings()
    assert recordings and recordings == corpus.recordings()


def test_problems_are_phrases(corpus):
    problems = corpus.problems(corpus.recordings())
    assert isinstance(problems, list) and all(isinstance(problem, str) and "\n" not in problem for problem in problems)


def test_clips_are_as_promised(corpus, some):
    for recording in some:
        clips = corpus.clips(recording)
        assert clips
        for clip in clips:
            assert isinstance(clip, Clip) and clip.problem == "" and clip.split in ("", "train", "valid", "test")
            assert all(isinstance(word, str) for word in (clip.clip, clip.group, clip.label, clip.genre))
            assert clip.clip and clip.group and isinstance(clip.sample_rate, int) and clip.sample_rate > 0
            assert clip.audio.ndim == 2 and clip.audio.shape[0] < clip.audio.shape[1]
            assert clip.audio.dtype in (np.int16, np.float32)
            assert np.isfinite(clip.audio).all() and clip.audio.any()


def test_tags_are_words_that_a_table_can_hold(corpus, some):
    for recording in some:
        for clip in corpus.clips(recording):
            assert isinstance(clip.tags, tuple) and len(set(clip.tags)) == len(clip.tags)
            assert all(isinstance(tag, str) and tag and tag == tag.strip() for tag in clip.tags)
            assert not any(TAG_SEPARATOR in tag for tag in clip.tags)


def test_clips_taken_apart_add_up_to_their_audio(corpus, some, as_float):
    """To the rounding of 16 bits: half a step, and a hair for the sum of two float32."""
    for recording in some:
        pairs = corpus.separate(recording)
        if pairs is None:
            continue
        for clip, (predominant, accompaniment) in zip(corpus.clips(recording), pairs, strict=True):
            assert predominant.dtype == accompaniment.dtype == np.float32
            assert predominant.shape == accompaniment.shape == clip.audio.shape
            assert predominant.any() and accompaniment.any()
            audio = as_float(clip.audio).astype(np.float64)
            assert np.abs(predominant.astype(np.float64) + accompaniment - audio).max() <= 0.51 / 32768


def test_clips_are_the_same_again(corpus, some):
    for recording in some:
        for one, other in zip(corpus.clips(recording), corpus.clips(recording), strict=True):
            np.testing.assert_array_equal(one.audio, other.audio, strict=True)
            assert dataclasses.replace(one, audio=None) == dataclasses.replace(other, audio=None)


def test_names_are_unique(corpus):
    clips = [clip for recording in corpus.recordings() for clip in corpus.clips(recording)]
    assert len({clip.clip for clip in clips}) == len(clips)


def test_a_group_holds_a_recording_together_and_never_straddles_a_split(corpus):
    groups_of, clips = {}, []
    for recording in corpus.recordings():
        cut = corpus.clips(recording)
        assert len({clip.group for clip in cut}) == 1, "clips of one recording are in several groups"
        clips += cut
        groups_of.setdefault(OF_ONE_RECORDING[corpus.name](cut[0]), set()).add(cut[0].group)
    assert all(len(groups) == 1 for groups in groups_of.values()), "one recording is in several groups"
    assert len(set.union(*groups_of.values())) == len(groups_of), "one group is made of several recordings"
    table = pd.DataFrame([{**vars(clip), "valid": not clip.problem} for clip in clips])
    table["split"] = assign_splits(table, Split(folds=3, seed=0, balance=True, balance_seed=0))
    for split in table[table["split"] != UNUSED].groupby("group")["split"]:
        assert split[1].nunique() == 1, f"group {split[0]} is in several splits"
    given = {clip.clip: clip.split for clip in clips if clip.split and not clip.problem}
    assert given.items() <= dict(zip(table["clip"], table["split"], strict=True)).items()


def test_extent_and_type_are_those_of_the_clips(corpus):
    recordings = corpus.recordings()
    clips = [clip for recording in recordings for clip in corpus.clips(recording)]
    assert corpus.extent(recordings) == (len(clips), sum(clip.audio.size for clip in clips))
    sixteen_bit = all(clip.audio.dtype == np.int16 for clip in clips)
    assert corpus.dtype(recordings) == ("int16" if sixteen_bit else "float32")


def test_content_hash_is_plain_and_stable(corpus, workspace):
    recordings = corpus.recordings()
    hashes = corpus.content_hashes(recordings)
    assert json.loads(json.dumps(hashes, allow_nan=False)) == hashes == corpus.content_hashes(recordings)
