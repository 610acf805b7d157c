"""What `make status` says of repositories whose state is known, against DVC's own word, and how long it takes."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from functools import cache
from unittest import mock

import pytest
from many_stages import REPOSITORY, set_params, write_repository

from earshift.errors import UserError
from earshift.pipeline import profile, status

ENCODERS, PERTURBATIONS = ["soft", "loud"], ["gain", "reverb"]


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """A repository of two encoders and two perturbations in which everything is computed."""
    root = tmp_path_factory.mktemp("computed")
    write_repository(root, ENCODERS, PERTURBATIONS)
    return root


@pytest.fixture
def repository(computed, tmp_path, monkeypatch):
    """A copy of it, entered."""
    for name in os.environ:
        if name.startswith("DVC_"):
            monkeypatch.delenv(name)
    shutil.copytree(computed, tmp_path / "r", dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "r")
    return tmp_path / "r"


def look():
    """{word: names of the stages}, and all that is said, with one space for several."""
    found = status.status()
    words = {word: {stage.name for stage in found.stages if stage.word == word} for word in status.WORDS}
    return words, re.sub(" +", " ", status.text(found, profile.read_profiles()))


def agrees_with_dvc(found):
    """Whether DVC itself lists as changed what is stale or missing, and else nothing but what waits."""
    from dvc.dependency import param
    from dvc.repo import Repo

    read_once = mock.patch.object(param, "load_path", cache(param.load_path))  # DVC reads params.yaml for every stage
    with read_once, Repo(config={"core": {"no_scm": True}}) as repo:
        changed = {name for name, how in repo.status().items() if how != ["always changed"]}
    return found["stale"] | found["missing"] <= changed <= found["stale"] | found["missing"] | found["waiting"]


def pairs(*kinds):
    return {f"{kind}@{e}-{p}" for kind in kinds for e in ENCODERS for p in PERTURBATIONS}


def test_all_is_computed(repository, capsys):
    found, lines = look()
    assert not found["stale"] and not found["missing"] and not found["waiting"] and len(found["computed"]) > 40
    assert agrees_with_dvc(found)
    status.main([])
    out = capsys.readouterr().out
    assert "soft    ok      ok" in out
    assert "the next `dvc repro` runs\n  every time: source, encoders, materials, track\n" in out
    assert max(map(len, out.splitlines())) <= 120 and len(out.splitlines()) <= 24


def test_a_parameter_of_one_analysis(repository):
    set_params(repository, {"cca.seed": 3})
    found, lines = look()
    assert found["stale"] == {*pairs("cca"), "report"}  # the page shows the parameters
    assert found["waiting"] == {"summary", "figures", "track"} and not found["missing"]
    assert " cca.seed 0 -> 3: cca (all 4)" in lines
    assert re.search(r"soft computed (\d)/(?!\1)\d computed \1/\d\n", lines)


def test_a_grid_makes_what_follows_wait(repository):
    set_params(repository, {"perturbations.gain.grid": [1, 2, 3, 4]})
    found, lines = look()
    assert found["stale"] == {"perturb@gain", "figures", "report"} and not found["missing"]
    assert {"embed@soft-gain", "cca@loud-gain", "tsne@soft", "excerpts@gain", "distances@gain"} <= found["waiting"]
    assert {"embed@soft-reverb", "cca@soft-reverb", "original@soft", "corpus"} <= found["computed"]
    assert "perturbations.gain.grid [1, 2, 3] -> [1, 2, 3, 4]: perturb@gain, figures" in lines
    assert re.search(r"\nsoft waiting 0/\d ok\n", lines)


def test_numbers_that_yaml_writes_in_two_ways_are_the_same(repository):
    text = (repository / "params.yaml").read_text()
    assert '"weight_decay": 1e-07' in text
    (repository / "params.yaml").write_text(text.replace('"weight_decay": 1e-07', '"weight_decay": 1.0e-7'))
    assert look()[0]["stale"] <= {"report"}  # which depends on the file as it is


def test_code_that_changed(repository):
    (repository / "earshift/analysis/distances.py").write_text("changed = True\n")
    found, lines = look()
    assert agrees_with_dvc(found)
    assert {"distances_original", "distances@gain", *pairs("cca", "consistency")} <= found["stale"]
    assert (
        "earshift/analysis changed: " in lines and "earshift/analysis/distances.py changed: distances_original" in lines
    )
    assert pairs("embed") <= found["computed"]


def test_outputs_that_are_gone_or_changed(repository):
    shutil.rmtree(repository / "data/embeddings/soft/gain")
    (repository / "metrics/svd/loud/gain.json").unlink()
    changed = repository / "plots/cca/loud/reverb/file.h5"
    changed.chmod(0o644)
    changed.write_text("changed")
    found, lines = look()
    assert agrees_with_dvc(found)
    assert found["missing"] == {"embed@soft-gain", "svd@loud-gain"} and found["stale"] == {"cca@loud-reverb"}
    assert {"cca@soft-gain", "consistency@soft-gain", "tsne@soft", "summary"} <= found["waiting"]
    assert "outputs are only in the cache: embed@soft-gain\n" in lines and "`dvc checkout` brings back" in lines
    assert "outputs are not here: svd@loud-gain\n" in lines
    assert "outputs are not what was made: cca@loud-reverb\n" in lines
    assert re.search(r"\nsoft missing \d/\d ok\n", lines)


def test_a_cache_that_was_cleaned(repository):
    shutil.rmtree(repository / ".dvc/cache")
    found, lines = look()
    assert pairs("embed", "cca") <= found["stale"] and not found["missing"]
    assert "outputs are not in the cache: " in lines


def test_a_fresh_clone_with_results_elsewhere(repository):
    for folder in ("data", "plots", "report", ".dvc/cache"):
        shutil.rmtree(repository / folder)
    found, lines = look()
    assert found["waiting"] | found["stale"] == {"summary", "track"} and not found["computed"]  # metrics are in git
    assert "`make pull` fetches" in lines


def test_nothing_ran_yet(repository):
    (repository / "dvc.lock").unlink()
    for folder in ("data", "plots", "report", "metrics"):
        shutil.rmtree(repository / folder)
    found, lines = look()
    assert not found["computed"] and not found["stale"] and not found["waiting"]
    assert "never run: source, corpus, encoders, train (all 2)" in lines


def test_an_encoder_more(repository):
    set_params(repository, {"encoders.new": {"trial": 1}, "run.encoders": [*ENCODERS, "new"]})
    found, lines = look()
    assert "embed@new-gain" in found["missing"] and "embed@soft-gain" in found["computed"]
    assert "comparison" in found["stale"]  # its parameters hold the list
    assert re.search(r"\nnew missing 0/\d missing 0/\d\n", lines)


def test_sizes_are_those_on_disk(repository):
    vectors = repository / "data/embeddings/soft/gain/file.h5"
    vectors.unlink()
    vectors.write_bytes(bytes(3 << 20))
    os.link(vectors, repository / "data/embeddings/soft/gain/link.h5")
    assert status.size("data/embeddings/soft/gain") == 6 << 20
    assert status.size("data/embeddings/soft/gain", set()) == 3 << 20 and status.size("nowhere") == 0
    lines = look()[1]
    assert "data/embeddings 6.0 MiB, .dvc/cache " in lines and "; together 3.0 MiB" in lines


def test_beside_a_running_repro(repository, monkeypatch):
    """DVC's own status would stop at what a running stage writes."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    out = str(repository / "data/embeddings/soft/gain")
    writer = {"write": {out: {"pid": os.getppid(), "cmd": "dvc repro"}}, "read": {}}
    (repository / ".dvc/tmp").mkdir(exist_ok=True)
    (repository / ".dvc/tmp/rwlock").write_text(json.dumps(writer))
    with Repo(config={"core": {"no_scm": True}}) as repo, pytest.raises(DvcException, match="busy"):
        repo.status()
    monkeypatch.setenv("DVC_STAGE", "embed@soft-gain")
    with profile.recorded() as running, Repo(config={"core": {"no_scm": True}}).lock:
        running.line("embed soft gain: 3/21 clips, 1.0 clips/s, 18 s left, 0 reused")
        lines = look()[1]
    assert f"running: embed@soft-gain (process {os.getpid()}) embed soft gain: 3/21 clips" in lines
    assert "running" not in look()[1]


def test_a_lock_file_that_is_being_written(repository):
    whole = (repository / "dvc.lock").read_text()
    (repository / "dvc.lock").write_text(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"dvc\.lock"):
        status.status()


def test_a_folder_that_is_no_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="DVC repository"):
        status.status()


def test_three_hundred_stages(tmp_path):
    encoders = [f"encoder{i}" for i in range(17)]
    names = write_repository(tmp_path, encoders, PERTURBATIONS)
    assert len(names) >= 300
    set_params(tmp_path, {"svd.seed": 3})
    shutil.rmtree(tmp_path / "data/embeddings/encoder7/gain")
    start = time.perf_counter()
    run = subprocess.run([sys.executable, "-m", "earshift.pipeline.status"], cwd=tmp_path, capture_output=True, text=True,
                         env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=True)  # fmt: skip
    seconds = time.perf_counter() - start
    print(f"{len(names)} stages: {seconds:.2f} s")
    assert "svd.seed 0 -> 3: svd (all 34)" in run.stdout
    assert "outputs are only in the cache: embed@encoder7-gain" in run.stdout
    assert re.search(r"\nencoder7 +missing \d/\d +computed \d/\d\n", run.stdout)
    assert len(run.stdout.splitlines()) <= 40
    assert seconds < 15  # 1 s on an idle machine; here others work beside it
