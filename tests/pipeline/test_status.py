"""What `make status` prints about repositories whose state is known."""

import io
import json
import os
import re
import shutil

import pytest
from many_stages import set_params, write_repository
from rich.console import Console

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
    """{state: names of the stages}, and all that is printed, with one space for several."""
    found = status.status()
    states = {state: {stage.name for stage in found.stages if stage.state == state} for state in status.STATES}
    with pytest.MonkeyPatch.context() as patch:  # it is found once
        patch.setattr(status, "status", lambda: found)
        return states, printed()


def printed(**options):
    console = Console(width=200, file=io.StringIO(), highlight=False, soft_wrap=True)
    status.show(console=console, **options)
    return re.sub(" +", " ", console.file.getvalue())


def of_encoders(*kinds):
    return {f"{kind}@{encoder}" for kind in kinds for encoder in ENCODERS}


def test_all_is_computed(repository):
    found, lines = look()
    assert not found["stale"] and not found["missing"] and len(found["computed"]) == 23
    assert "soft ok ok\n" in lines
    assert "the next `dvc repro` runs\n every time: inputs, track\n" in lines


def test_a_parameter_of_one_analysis(repository):
    set_params(repository, {"cca.seed": 3})
    found, lines = look()
    assert found["stale"] == {"cca", "report"}  # the page shows the parameters
    assert not found["missing"]
    assert " cca in params.yaml changed: cca\n" in lines and "and what depends on these" in lines
    assert re.search(r"soft computed (\d)/\1 computed \1/\1\n", lines)


def test_a_grid(repository):
    set_params(repository, {"perturbations.gain.grid": [1, 2, 3, 4]})
    found, lines = look()
    assert found["stale"] == {"perturb@gain", "report"} and not found["missing"]
    assert "perturbations.gain in params.yaml changed: perturb@gain" in lines


def test_code_that_changed(repository):
    """As the stage ``inputs`` finds it, which runs every time."""
    (repository / "data/inputs/code/distances.json").write_text("changed")
    found, lines = look()
    assert found["stale"] == {"inputs", "distances"} and not found["missing"]
    assert "data/inputs/code/distances.json changed: distances\n" in lines


def test_outputs_that_are_gone_or_changed(repository):
    shutil.rmtree(repository / "data/embeddings/soft")
    shutil.rmtree(repository / "metrics/svd")
    changed = repository / "plots/cca/file.h5"
    changed.chmod(0o644)
    changed.write_text("changed")
    found, lines = look()
    assert found["missing"] == {"embed@soft", "svd"} and "cca" in found["stale"]
    assert "embed@loud" in found["computed"]
    assert "outputs are only in the cache: embed@soft\n" in lines and "`dvc checkout` brings back" in lines
    assert "outputs are not here: svd\n" in lines
    assert "outputs were changed: cca\n" in lines
    assert re.search(r"\nsoft missing (\d)/(?!\1)\d missing ", lines)
    assert re.search(r"\nloud computed (\d)/(?!\1)\d computed ", lines)


def test_pairs_that_an_analysis_lacks(repository):
    index = repository / "metrics/svd/index.json"
    content = json.loads(index.read_text())
    del content["artifacts"]["loud/gain"]
    index.write_text(json.dumps(content))
    lines = look()[1]
    assert re.search(r"\nsoft computed (\d)/\1 computed \1/\1\nloud computed (?!\1)\d/\1 computed \1/\1\n", lines)


def test_a_cache_that_was_cleaned(repository):
    shutil.rmtree(repository / ".dvc/cache")
    found, lines = look()
    assert of_encoders("embed") | {"cca"} <= found["stale"] and not found["missing"]
    assert "outputs are not in the cache: " in lines


def test_a_fresh_clone_with_results_elsewhere(repository):
    (repository / "results.parquet").unlink()
    for folder in ("data", "plots", "report", ".dvc/cache"):
        shutil.rmtree(repository / folder)
    found, lines = look()
    assert found["stale"] == {"track"} and not found["computed"]
    assert "`make pull` fetches" in lines


def test_nothing_ran_yet(repository):
    (repository / "dvc.lock").unlink()
    for folder in ("data", "plots", "report", "metrics"):
        shutil.rmtree(repository / folder)
    found, lines = look()
    assert not found["computed"] - {"track"} and not found["stale"] - {"track"}
    assert "outputs are not here: inputs, corpus, models (all 2)" in lines


def test_an_encoder_more(repository):
    set_params(repository, {"encoders.new": {"trial": 1}, "run.encoders": [*ENCODERS, "new"]})
    found, lines = look()
    assert found["missing"] == {"models@new", "embed@new"} and "embed@soft" in found["computed"]
    assert "comparison" in found["stale"]  # its parameters hold the list
    assert re.search(r"\nnew missing 0/\d missing 0/\d\n", lines)


def test_sizes_are_those_on_disk(repository):
    vectors = repository / "data/embeddings/soft/file.h5"
    vectors.unlink()
    vectors.write_bytes(bytes(3 << 20))
    os.link(vectors, repository / "data/embeddings/soft/link.h5")
    assert status.size("data/embeddings/soft") == 6 << 20
    assert status.size("data/embeddings/soft", set()) == 3 << 20 and status.size("nowhere") == 0
    lines = look()[1]
    assert "data/embeddings 6.0 MiB, .dvc/cache " in lines and "; together 3.0 MiB" in lines


def test_beside_a_running_repro(repository, monkeypatch):
    """DVC does not compare what a running stage writes: what runs, and how far it is, is shown."""
    out = str(repository / "data/embeddings/soft")
    writer = {"write": {out: {"pid": os.getppid(), "cmd": "dvc repro"}}, "read": {}}
    (repository / ".dvc/tmp").mkdir(exist_ok=True)
    (repository / ".dvc/tmp/rwlock").write_text(json.dumps(writer))
    with pytest.raises(status.Busy):
        status.status()
    monkeypatch.setenv("DVC_STAGE", "embed@soft")
    with profile.record() as running:
        running.line("embed soft: 3/21 clips, 1.0 clips/s, 18 s left, 0 reused")
        lines = printed()
    assert f"running: embed@soft (process {os.getpid()}) embed soft: 3/21 clips" in lines
    assert "another DVC command is running" in lines
    (repository / ".dvc/tmp/rwlock").unlink()
    assert "running" not in printed()


def test_a_lock_file_that_is_being_written(repository):
    whole = (repository / "dvc.lock").read_text()
    (repository / "dvc.lock").write_text(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"dvc\.lock"):
        status.status()


def test_a_folder_that_is_no_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="DVC repository"):
        status.status()


def test_many_encoders_are_shown_where_something_is_left_to_do(tmp_path, monkeypatch):
    write_repository(tmp_path, [f"encoder{i}" for i in range(14)], ["gain"])
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(tmp_path / "data/embeddings/encoder7")
    lines = printed()
    assert re.search(r"\nencoder7 missing (\d)/\1\n", lines) and "\nencoder8 " not in lines
