"""Shared fixtures. ``stages`` is imported first: it pins threads and instruction set before numpy starts."""

import stages  # noqa: F401, I001

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

# The same examples every time, so that a run that fails can be run again; --hypothesis-seed explores others
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

REPOSITORY = Path(__file__).parents[1]
LONGEST = ("test_pipeline.py", "test_own.py", "test_experiments.py", "test_team.py", "test_make_paper.py",
           "test_queue.py", "test_cluster.py", "test_track.py", "test_fault_dvc.py")  # fmt: skip


def pytest_collection_modifyitems(items):
    """The longest files first, so that no process is left alone with one of them."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture
def rng():
    return np.random.default_rng(440)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty working folder with the repository's params.yaml and presets; the test runs inside it."""
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    shutil.copytree(REPOSITORY / "presets", tmp_path / "presets")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def edited(workspace):
    """Change params.yaml in the workspace: ``edited({"cca.seed": 3})`` gives the checked parameters."""
    from ruamel.yaml import YAML

    from earshift.pipeline import config

    def edit(changes):
        document = config.read()
        for key, value in changes.items():
            *path, last = key.split(".")
            section = document
            for part in path:
                section = section[part]
            section[last] = value
        with open("params.yaml", "w", encoding="utf-8") as file:
            YAML(typ="safe").dump(document, file)
        return config.load()

    return edit


@pytest.fixture
def tiny_corpus(workspace, rng):
    """Packed noise and tones of mixed rates, lengths and channels, one of them invalid, as the corpus stage writes."""
    return write_corpus(rng)


def write_corpus(rng, clips=7, rates=(44100, 22050), channels=(2, 1), invalid=(3,)):
    """Pack a small corpus under the current folder and return its table."""
    import hashlib

    from earshift.pipeline import paths
    from earshift.pipeline.audio_files import keep_corpus_audio
    from earshift.storage.clips import read_clips
    from earshift.storage.files import write_table
    from earshift.storage.packed_audio import AudioWriter

    rows = []
    part = paths.AUDIO / "part.h5"
    with AudioWriter(part, dtype="int16") as writer:
        for i in range(clips):
            rate, shape = rates[i % len(rates)], (channels[i % len(channels)], 30000 + 1000 * i)
            audio = np.rint(rng.normal(0, 3000, shape)).astype(np.int16)
            if i in invalid:
                audio = audio[:1, :0]
            writer.append(audio, rate)
            rows.append(
                {
                    "clip": f"clip{i}",
                    "group": f"group{i // 2}",
                    "label": "cello" if i % 2 else "flute",
                    "genre": "",
                    "split": "unused" if i in invalid else "test" if i // 2 == 2 else "train",
                    "seconds": audio.shape[1] / rate,
                    "channels": shape[0],
                    "sample_rate": rate,
                    "valid": i not in invalid,
                    "problem": "silent" if i in invalid else "",
                    "sha256": hashlib.sha256(audio.tobytes()).hexdigest(),
                }
            )
    table = pd.DataFrame(rows)
    write_table(paths.CLIPS, table)
    keep_corpus_audio(part, table)
    return read_clips(paths.CLIPS)
