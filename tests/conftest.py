"""Shared fixtures. ``stages`` is imported first: it pins threads and instruction set before numpy starts."""

import stages  # noqa: F401, I001

import copy
import json
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
# The longest files, in the order in which processes take them. The first makes the small run (tests/clones.py) that
# others wait for, so those of encoders, which do not, are taken beside it.
LONGEST = ("test_pipeline.py", "test_every_encoder.py", "test_panns.py", "test_track.py", "test_own.py", "test_team.py",
           "test_cluster.py", "test_fault_dvc.py", "test_clap.py", "test_findings.py", "test_fault_kill.py",
           "test_artifacts.py", "test_embed.py", "test_queue.py", "test_sharing.py")  # fmt: skip


def pytest_collection_modifyitems(items):
    """The longest files first, so that no process is left alone with one of them."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


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


@pytest.fixture(scope="session")
def repository_params():
    """The text of the repository's params.yaml and what it says; reading it takes longer than most tests."""
    from earshift.pipeline import config

    path = REPOSITORY / "params.yaml"
    return path.read_text(encoding="utf-8"), config.read(path)


@pytest.fixture
def edited(workspace, repository_params):
    """Change params.yaml in the workspace: ``edited({"cca.seed": 3})`` gives the checked parameters."""
    from earshift.pipeline import config

    file, known = Path("params.yaml"), [repository_params]

    def edit(changes):
        text, document = known[0]
        document = copy.deepcopy(document) if file.read_text(encoding="utf-8") == text else config.read()
        for key, value in changes.items():
            *path, last = key.split(".")
            section = document
            for part in path:
                section = section[part]
            section[last] = value
        # JSON is YAML, but for two of its words, and is written and read in less time
        text = json.dumps(document, sort_keys=True).replace("NaN", ".nan").replace("Infinity", ".inf")
        file.write_text(text, encoding="utf-8")
        known[0] = text, document
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
