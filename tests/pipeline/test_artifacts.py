"""Keys change with what determines an artifact and nothing else; outputs reuse, restore, tidy and keep accordingly."""

import importlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from earshift.errors import UserError
from earshift.pipeline import artifacts, corpus, outputs, paths, pinning, train_kim2019
from earshift.pipeline.artifacts import INDEX, Artifact, Key, Output, adopt, make_key, making, read_index
from earshift.pipeline.distances import update_distances
from earshift.pipeline.embed import embed
from earshift.pipeline.perturb import perturb
from earshift.pipeline.recipes import audio_key, plan_recipes, write_document
from earshift.pipeline.store import Store
from earshift.storage.clips import corpus_digest, read_clips
from earshift.storage.files import read_json, write_json
from earshift.training.kim2019 import batches

# ----------------------------------------------------------------------------------------------------------------- keys

KEY = Key("embed", {"clips": "c", "audio": "a"}, {"option": [1, 0.5, None]}, "code", {"numpy": "1"}, "pinned")
OTHERS = {
    "kind": replace(KEY, kind="distances"),
    "clips": replace(KEY, contents={"clips": "d", "audio": "a"}),
    "content": replace(KEY, contents={"clips": "c", "audio": "b"}),
    "content of another name": replace(KEY, contents={"clips": "c", "sound": "a"}),
    "option": replace(KEY, options={"option": [1, 0.5, False]}),
    "order of a list": replace(KEY, options={"option": [0.5, 1, None]}),
    "code": replace(KEY, code="other"),
    "version": replace(KEY, packages={"numpy": "2"}),
    "package": replace(KEY, packages={"numpy": "1", "scipy": "1"}),
    "numerics": replace(KEY, numerics="native"),
}


@dataclass(frozen=True)
class Options:
    option: Any


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_whatever_differs_gives_another_key(other):
    assert other.sha256 != KEY.sha256 and len(other.sha256) == 64


@pytest.mark.parametrize(
    "same", [{"option": (1, 0.5, None)}, Options([1, 0.5, None]), Options((1, 0.5, None))], ids=["tuple", "own", "both"]
)
def test_what_is_equal_gives_an_equal_key(same):
    contents = dict(reversed(KEY.contents.items()))
    assert replace(KEY, contents=contents, options=same).sha256 == KEY.sha256


def test_sets_and_paths_have_keys_of_their_content():
    sets = [replace(KEY, options=[{"b", "a"}, Path("x/y")]), replace(KEY, options=[frozenset("ab"), "x/y"])]
    assert sets[0].sha256 == sets[1].sha256 != KEY.sha256


@pytest.mark.parametrize(
    "hash_of, ignores",
    [("basis", {"code"}), ("family", {"clips"}), ("settings", {"clips", "code"})],
)
def test_hashes_of_a_part_of_a_key_leave_out_no_more_than_they_say(hash_of, ignores):
    equal = {name for name, other in OTHERS.items() if getattr(other, hash_of) == getattr(KEY, hash_of)}
    assert equal == ignores


def test_the_key_of_today_has_code_packages_and_numerics(monkeypatch):
    """Of the modules that are named, and what they import."""
    key = make_key("svd", contents={}, options=None, code=["stages.svd"], packages={"mine": "7"})
    assert key.code == artifacts.code_sha256("stages.svd") and key.numerics == pinning.NUMERICS
    assert {"numpy", "pandas", "mine"} <= set(key.packages)
    assert key == make_key("svd", contents={}, options=None, code=["stages.svd"], packages={"mine": "7"})
    other = make_key("svd", contents={}, options=None, code=["stages.cca"], packages={"mine": "7"})
    assert other.code != key.code


# ----------------------------------------------------------------------------------------------- keys of every artifact


class _Asked(Exception):
    """What a stage wants, instead of a computation."""


def _stage(name):
    return lambda params: importlib.import_module(f"stages.{name}").main(*[[]] * (name in PAIRS))


def _train(params):
    train_kim2019.Trainer().train(params, "vgg_autoencoder", "autoencoder")


def _audio(params):
    digest = corpus_digest(read_clips(paths.CLIPS))
    raise _Asked([Artifact(each.value, audio_key(each, digest), ()) for each in plan_recipes(params, "gain")])


PAIRS = ("cca", "svd", "trajectories", "robustness", "consistency", "performance")
STAGES: dict[str, Callable[[Any], Any]] = {
    "audio": _audio,
    "corpus": corpus.build,
    "perturb": lambda params: perturb(params, "gain"),
    "embed": lambda params: embed(params, "musicnn"),
    "distances": update_distances,
    "network": _train,
    **{name: _stage(name) for name in (*PAIRS, "maps", "excerpts")},
}
OPTIONS = {
    "audio": {"perturb.clip": True},
    "corpus": {"corpus.split.seed": 1},
    "perturb": {"perturb.severity_clips": 3},
    "embed": {"encoders.musicnn.layer": "max_pool"},
    "distances": {"distances.mfcc": 20},
    "network": {"training.dropout": 0.1},
    "cca": {"cca.ridge": 0.5},
    "svd": {"svd.energy": 0.5},
    "trajectories": {"trajectories.neighbours": 4},
    "robustness": {"robustness.positives": 7},
    "consistency": {"consistency.threshold": 0.5},
    "performance": {"fidelity": "paper"},
    "maps": {"tsne.perplexity": 5},
    "excerpts": {"report.clips": 2},
}


def _another_corpus_file():
    write_json(paths.CORPUS_INPUTS, {**read_json(paths.CORPUS_INPUTS), "content": "of another recording"})


def _another_clip():
    table = pd.read_csv(paths.CLIPS, dtype=str, keep_default_na=False)
    table.loc[0, "sha256"] = "other"
    table.to_csv(paths.CLIPS, index=False)


def _another_vector():
    (paths.embeddings("musicnn", "gain") / "-10.h5").write_bytes(b"another vector")


def _another_distance():
    paths.distances("gain", "-10").write_bytes(b"another distance")


def _other_weights():
    write_json(paths.weights("musicnn") / "weights.json", {"weights": {"sha256": "other"}})


def _another_network():
    record = read_json(paths.model("musicnn") / "model.json")
    record["tasks"]["autotagging"]["sha256"] = "other"
    write_json(paths.model("musicnn") / "model.json", record)


def _other_training_data():
    Data.digest = "other"


def _another_result():
    paths.metrics("consistency", "musicnn", "gain").write_text("another result")


CONTENTS = [
    ("audio", _another_clip), ("corpus", _another_corpus_file), ("perturb", _another_clip), ("embed", _another_clip),
    ("embed", _other_weights), ("distances", _another_clip), ("network", _other_training_data),
    ("consistency", _another_distance), ("performance", _another_network), ("performance", _another_clip),
    ("maps", _another_vector), ("maps", _another_result), ("excerpts", _another_clip),
    *((name, change) for name in PAIRS[:-1] for change in (_another_vector, _another_clip)),
]  # fmt: skip


class Data:
    """What training reads, as far as keys go."""

    digest = "data"

    def places(self, part):
        return []


@pytest.fixture
def wanted(tiny_corpus, edited, monkeypatch):
    """A function that gives the keys, by name, of what a stage wants with changed parameters.

    Whatever a stage reads is there, under hashes that mean nothing. Code and packages are named by the modules that
    they are of; ``changed`` names those that have changed.
    """
    changed: set[str] = set()
    monkeypatch.setattr(Data, "digest", "data")

    def code(*modules):
        return [m + "!" * (m in changed) for m in sorted(modules)], {"package": str("package" in changed)}

    def missing(output):
        raise _Asked(output.wanted)

    def obtain_network(key, *arguments):
        raise _Asked([Artifact("network", replace(KEY, kind=key), ())])

    monkeypatch.setattr(artifacts, "_code", code)
    monkeypatch.setattr(Output, "missing", missing)
    monkeypatch.setattr(train_kim2019, "obtain_network", obtain_network)
    monkeypatch.setattr(train_kim2019, "_prepare", lambda *arguments: (None, Data()))
    monkeypatch.setattr(train_kim2019, "_clips", lambda *arguments: None)
    monkeypatch.setattr(batches, "choose_outputs", lambda *arguments, **options: ["output"])

    settings = {"run.encoders": ["musicnn"], "run.perturbations": ["gain"], "perturbations.gain.grid": [-10, 5]}
    write_json(paths.CORPUS_INPUTS, {"corpus": "general_midi", "content": "of a recording"})
    for recipe in plan_recipes(edited(settings), "gain"):
        write_document(paths.perturbed("gain") / f"{recipe.value}.json", {**recipe.attributes(), "severity": {}})
        for path in (paths.embeddings("musicnn", "gain") / f"{recipe.value}.h5", paths.distances("gain", recipe.value)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(recipe.value.encode())
    result = paths.metrics("consistency", "musicnn", "gain")
    for path in (paths.originals("musicnn"), paths.original_distances(), result):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"original")
    network = {"fingerprint": "f", "outputs": ["a"], "clips": {}, "parameters": 1, "epochs": 1, "best": 1,
               "ended": "finished", "baseline": None, "sha256": "network"}  # fmt: skip
    write_json(paths.model("musicnn") / "model.json", {"encoder": "musicnn", "tasks": {"autotagging": network}})
    write_json(paths.weights("musicnn") / "weights.json", {"weights": {"sha256": "weights"}})

    def keys(kind, *, code=(), **changes):
        changed.clear()
        changed.update(code)
        params = edited(changes)
        with pytest.raises(_Asked) as asked:
            STAGES[kind](params)
        found = {each.name: each.key.kind if kind == "network" else each.key.sha256 for each in asked.value.args[0]}
        assert found and len(set(found.values())) == len(found)
        return found

    return keys


def differ(one, other):
    """Names of the artifacts whose keys differ."""
    assert one.keys() == other.keys()
    return {name for name in one if one[name] != other[name]}


@pytest.mark.parametrize("kind", STAGES)
def test_options_code_packages_and_numerics_change_the_key(wanted, monkeypatch, kind):
    first = wanted(kind)
    modules = {"audio": "earshift.perturbations.effects", "network": "earshift.pipeline.train_kim2019"}
    module = modules.get(kind, f"stages.{kind}")
    assert differ(first, wanted(kind, code=[module])) == set(first)
    assert differ(first, wanted(kind, code=["package"])) == set(first)
    with monkeypatch.context() as context:
        context.setattr(pinning, "NUMERICS", "native")
        assert differ(first, wanted(kind)) == set(first)
    assert wanted(kind) == first
    assert differ(first, wanted(kind, **OPTIONS[kind])) == set(first)


@pytest.mark.parametrize("kind, change", CONTENTS, ids=[f"{kind}{change.__name__}" for kind, change in CONTENTS])
def test_contents_change_the_key(wanted, kind, change):
    first = wanted(kind)
    change()
    assert differ(first, wanted(kind)) == set(first)


@pytest.mark.parametrize("kind", STAGES)
def test_what_is_of_no_matter_changes_no_key(wanted, kind):
    """Where it is computed, and options of other analyses."""
    first = wanted(kind)
    for path in (paths.CLIPS, paths.originals("musicnn")):
        os.utime(path, (1, 1))
    theirs = (kind, "audio", "corpus", "perturb", "performance")  # the stage, and those that all others follow
    others = [options for name, options in OPTIONS.items() if name not in theirs]
    changes = {key: value for options in others for key, value in options.items()}
    if kind in ("excerpts", "performance", "cca", "svd", "trajectories", "robustness", "consistency", "maps"):
        changes.pop("encoders.musicnn.layer")  # these read the vectors themselves
    if kind == "trajectories":
        changes.pop("cca.ridge")
    changes = {"compute.workers": 3, "compute.chunk": 5, "compute.device": "cpu", **changes}
    assert wanted(kind, **changes) == first


def test_code_of_an_encoder_or_a_perturbation_changes_what_comes_from_it(wanted):
    effects, encoder = "earshift.perturbations.effects", "earshift.encoders.musicnn"
    of_values = {"gain/-10", "gain/5"}
    for kind, by_effects, by_encoder in (
        ("perturb", {"-10", "5"}, set()),
        ("embed", of_values, {"original", *of_values}),
        ("distances", of_values, set()),
    ):
        first = wanted(kind)
        assert differ(first, wanted(kind, code=[effects])) == by_effects
        assert differ(first, wanted(kind, code=[encoder])) == by_encoder


def test_one_value_more_leaves_the_keys_of_the_others(wanted):
    for kind in ("embed", "distances"):
        first = wanted(kind)
        document = read_json(paths.perturbed("gain") / "5.json")
        document.pop("checksum")
        write_document(paths.perturbed("gain") / "6.json", {**document, "value": "6"})
        more = wanted(kind)
        assert more.keys() - first.keys() == {"gain/6"} and first.items() <= more.items()
        (paths.perturbed("gain") / "6.json").unlink()


# -------------------------------------------------------------------------------------------------------------- outputs

METRICS, PLOTS, CLIPS = paths.METRICS / "test", paths.PLOTS / "test", "ab" * 32


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def artifact(name, option=1, **how):
    key = make_key("test", contents={"clips": CLIPS}, options=[name, option], code=[])
    return Artifact(name, key, (METRICS / f"{name}.json", PLOTS / name), **how)


def output(*wanted, **how):
    return Output(METRICS, wanted, also=[PLOTS], **how)


def compute(*wanted, **how):
    """What a stage does; gives the names of what it computed."""
    found = output(*wanted, **how)
    missing = found.missing()
    for each in missing:
        with making(each) as root:
            for path, text in expected(each).items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
        found.take(each)
    assert found.reused == len(wanted)
    return [each.name for each in missing]


def expected(*wanted):
    """Files of artifacts, and what is in them."""
    files = {}
    for each in wanted:
        result, plots = each.places
        files |= {result.as_posix(): f"result {each.key.sha256}", f"{plots}/curves.csv": f"curves {each.name}"}
    return files


def files():
    """What lies in the folders, but for the index."""
    found = [path for folder in (METRICS, PLOTS) for path in folder.rglob("*") if path.is_file()]
    return {path.as_posix(): path.read_text() for path in found if path.name != INDEX}


def test_the_same_again_computes_nothing_and_touches_no_file(here):
    wanted = artifact("mfcc/gain"), artifact("mfcc/reverb")
    assert compute(*wanted) == ["mfcc/gain", "mfcc/reverb"] and files() == expected(*wanted)
    stamps = {path: (Path(path).stat().st_ino, Path(path).stat().st_mtime_ns) for path in files()}
    index = (METRICS / INDEX).read_bytes()
    assert compute(*wanted) == [] and files() == expected(*wanted)
    assert {path: (Path(path).stat().st_ino, Path(path).stat().st_mtime_ns) for path in files()} == stamps
    assert (METRICS / INDEX).read_bytes() == index


def test_the_index_has_key_basis_and_hashes_in_the_order_that_is_wanted(here):
    wanted = artifact("b"), artifact("a", by_rows=True)
    compute(*wanted)
    index = read_index(METRICS)
    assert list(index) == ["b", "a"]
    for each in wanted:
        entry = index[each.name]
        assert (entry["key"], entry["basis"]) == (each.key.sha256, each.key.basis)
        assert entry["files"] == {path: artifacts.digest(path) for path in sorted(expected(each))}
    assert "family" not in index["b"] and (index["a"]["family"], index["a"]["rows"]) == (wanted[1].key.family, CLIPS)
    compute(*reversed(wanted))
    assert list(read_index(METRICS)) == ["a", "b"]


def test_options_one_two_one_compute_nothing_the_third_time(here):
    names = ["mfcc/gain", "mfcc/reverb"]
    first, second = ([artifact(name, option) for name in names] for option in (1, 2))
    assert compute(*first) == names and compute(*second) == names and files() == expected(*second)
    assert compute(*first) == [] and files() == expected(*first)
    assert compute(first[0], second[1]) == [] and files() == expected(first[0], second[1])


def test_one_artifact_more_costs_itself(here):
    wanted = [artifact("a"), artifact("b")]
    compute(*wanted)
    assert compute(artifact("c"), *wanted) == ["c"]


# ------------------------------------------------------------------------------------------------------- what is tidied


def test_what_left_the_grid_leaves_the_output_and_stays_in_the_store(here):
    gone, stays = artifact("mfcc/gain"), artifact("yamnet/gain")
    compute(gone, stays)
    assert compute(stays) == [] and files() == expected(stays) and list(read_index(METRICS)) == ["yamnet/gain"]
    assert not (METRICS / "mfcc").exists() and not (PLOTS / "mfcc").exists(), "empty folders go as well"
    assert gone.key.sha256 in artifacts.store()
    assert compute(gone, stays) == [] and files() == expected(gone, stays)


def test_what_left_is_kept_although_the_store_was_lost(here):
    """It is put back before the output is tidied: what was pulled, or computed by a version without a store."""
    gone, stays = artifact("gone"), artifact("stays")
    compute(gone, stays)
    shutil.rmtree(paths.STORE)
    assert compute(stays) == [] and files() == expected(stays)
    assert compute(gone, stays) == []


def test_unknown_files_are_removed_and_those_of_the_stage_are_not(here):
    one = artifact("mfcc/gain")
    compute(one)
    unknown = [METRICS / "mfcc/other.json", METRICS / ".mfcc.json.77.tmp", METRICS / "x/y/z", PLOTS / "mfcc/gain/.half",
               PLOTS / "mfcc/gain/other.csv", PLOTS / "stranger"]  # fmt: skip
    for path in unknown:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("unknown")
    (METRICS / "link").symlink_to(here, target_is_directory=True)
    own, beside = METRICS / "severity.csv", here / "metrics/other/result.json"
    for path in (own, beside):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    compute(one, files=[own])
    assert files() == {**expected(one), own.as_posix(): "mine"} and not (METRICS / "x").exists()
    assert beside.read_text() == "mine" and not (METRICS / "link").is_symlink() and (here / "metrics").is_dir()


def test_folders_are_made_where_nothing_is_wanted(here):
    assert compute() == [] and METRICS.is_dir() and PLOTS.is_dir() and read_json(METRICS / INDEX) == {"artifacts": {}}


# --------------------------------------------------------------------------------------------------------------- damage


def rewrite(path, text):
    """Another file of this name: the one in the store stays."""
    Path(path).unlink()
    Path(path).write_text(text)


PATHS = ["metrics/test/b.json", "plots/test/b/curves.csv"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_a_damaged_file_of_an_output_comes_from_the_store(here, path, how, capsys):
    wanted = [artifact(name) for name in "abc"]
    compute(*wanted)
    Path(path).unlink() if how == "missing" else rewrite(path, "damaged")
    assert compute(*wanted) == [] and files() == expected(*wanted)
    assert (f"{path} is damaged, its checksum does not hold; it is made again" in capsys.readouterr().out) == (
        how == "changed"
    )


@pytest.mark.parametrize("path", PATHS)
def test_a_damaged_file_of_the_store_is_made_again_alone_when_it_is_needed(here, path):
    wanted = [artifact(name) for name in "abc"]
    compute(*wanted)
    file = artifacts.store().file(wanted[1].key.sha256, path)
    rewrite(file, "damaged")
    assert compute(*wanted) == [] and files() == expected(*wanted)
    assert compute(wanted[0], wanted[2]) == []
    assert compute(*wanted) == ["b"] and files() == expected(*wanted)


@pytest.mark.parametrize("path", PATHS)
def test_a_file_that_is_damaged_in_both_is_made_again_alone(here, path):
    wanted = [artifact(name) for name in "abc"]
    compute(*wanted)
    Path(path).write_text("damaged")  # in place: one file under two names
    assert compute(*wanted) == ["b"] and files() == expected(*wanted)
    assert compute(*wanted) == []


def test_a_file_that_another_artifact_left_in_its_place_is_no_part_of_it(here):
    """An index that names files elsewhere, as one of an earlier version with other places."""
    one = artifact("a")
    moved = replace(one, places=(METRICS / "moved.json", PLOTS / "moved"))
    compute(one)
    assert compute(moved) == ["a"] and files() == expected(moved)
    assert compute(moved) == [] and compute(one) == ["a"] and files() == expected(one)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"artifacts": []}', '{"artifacts": {"a": 1, "b": {"key": "x"}}}',
     '{"artifacts": {"a": {"key": 1, "basis": 2, "files": ["metrics/test/a.json"]}}}'],
)  # fmt: skip
def test_a_broken_index_costs_nothing(here, content):
    wanted = artifact("a"), artifact("b")
    compute(*wanted)
    (METRICS / INDEX).write_text(content)
    assert read_index(METRICS) == {}
    assert compute(*wanted) == [] and list(read_index(METRICS)) == ["a", "b"]


# ------------------------------------------------------------------------------------------------------- made and taken


def test_nothing_is_kept_of_what_fails(here):
    one = artifact("a")
    with pytest.raises(ZeroDivisionError), making(one) as root:
        (root / METRICS).mkdir(parents=True)
        (root / one.places[0]).write_text("half")
        raise ZeroDivisionError
    assert one.key.sha256 not in artifacts.store() and not list(paths.STORE.rglob("*.json"))
    assert not any((paths.STORE / "work").iterdir())


def test_what_was_not_written_is_no_artifact(here):
    one = artifact("a")
    with pytest.raises(RuntimeError, match="nothing was written of a"), making(one):
        pass
    assert one.key.sha256 not in artifacts.store()


def test_what_was_made_and_is_gone_is_said(here):
    found, one = output(artifact("a")), artifact("a")
    found.missing()
    with pytest.raises(UserError, match="a is no longer in .*; run again"):
        found.take(one)


def test_an_artifact_is_in_the_index_as_soon_as_it_is_taken(here):
    """So that a kill loses what was under way alone; and in the order that is wanted, whichever is ready first."""
    wanted = [artifact(name) for name in "abc"]
    found = output(*wanted)
    found.missing()
    for each, names in ((wanted[2], ["c"]), (wanted[0], ["a", "c"])):
        with making(each) as root:
            for path, text in expected(each).items():
                (root / path).parent.mkdir(parents=True)
                (root / path).write_text(text)
        found.take(each)
        assert list(read_index(METRICS)) == names
    assert compute(*wanted) == ["b"]


# ------------------------------------------------------------------------------------------------------------- adoption


def pulled(*wanted):
    """What another machine has computed and this one has pulled: index and files, and no store."""
    compute(*wanted)
    shutil.rmtree(paths.STORE)


def test_pulled_artifacts_are_adopted(here):
    wanted = [artifact("mfcc/gain"), artifact("mfcc/reverb")]
    pulled(*wanted)
    assert adopt(METRICS) == 2 and adopt(METRICS) == 0
    assert {each.key.sha256 for each in wanted} == set(artifacts.store().keys())
    shutil.rmtree(METRICS), shutil.rmtree(PLOTS)
    assert compute(*wanted) == [] and files() == expected(*wanted)


def test_pulled_artifacts_of_other_options_are_there_when_they_are_wanted(here):
    first, second = artifact("a", 1), artifact("a", 2)
    pulled(first)
    compute(second)
    assert compute(first) == [] and files() == expected(first)


def test_what_is_damaged_is_not_adopted(here):
    wanted = [artifact(name) for name in "abc"]
    pulled(*wanted)
    rewrite("metrics/test/b.json", "damaged")
    Path("plots/test/c/curves.csv").unlink()
    assert adopt(METRICS) == 1 and list(artifacts.store().keys()) == [wanted[0].key.sha256]
    assert compute(*wanted) == ["b", "c"] and files() == expected(*wanted)


@pytest.mark.parametrize("path", ["../outside", "/etc/hostname", "metrics/../../outside"])
def test_an_index_names_no_file_outside(here, path):
    (here.parent / "outside").write_text("secret")
    one = artifact("a")
    pulled(one)
    index = read_json(METRICS / INDEX)
    index["artifacts"]["a"]["files"] = {path: artifacts.digest(path) if Path(path).is_file() else "0" * 64}
    write_json(METRICS / INDEX, index)
    assert adopt(METRICS) == 0 and not paths.STORE.exists()
    assert compute(one) == ["a"] and files() == expected(one)


def test_all_outputs_are_kept_wherever_their_index_lies(here):
    """Stages ask for this before DVC or they themselves remove outputs."""
    made = []
    for folder in (paths.CORPUS, paths.perturbed("gain"), paths.EMBEDDINGS / "mfcc", paths.DISTANCES, paths.EXCERPTS,
                   paths.METRICS / "cca", paths.PLOTS / "tsne"):  # fmt: skip
        key = make_key("test", contents={}, options=folder, code=[])
        one = Artifact("one", key, (folder / "file",))
        found = Output(folder, [one])
        found.missing()
        with making(one) as root:
            (root / folder).mkdir(parents=True)
            (root / folder / "file").write_text(str(folder))
        found.take(one)
        made.append(one)
    shutil.rmtree(paths.STORE)
    outputs.keep_all()
    assert set(artifacts.store().keys()) == {one.key.sha256 for one in made}


def test_what_left_the_run_is_removed_and_what_is_in_it_stays(here, edited):
    for folder in (paths.model("mfcc"), paths.model("gone"), paths.EMBEDDINGS / "gone", paths.perturbed("gone"),
                   paths.perturbed("gain")):  # fmt: skip
        folder.mkdir(parents=True)
        (folder / "file").write_text("")
    outputs.remove_what_left(edited({"run.encoders": ["mfcc"], "run.perturbations": ["gain"]}).run)
    left = {path.parent.name for path in Path("data").rglob("file")}
    assert left == {"mfcc", "gain"}


def test_every_store_of_a_repository_is_the_same(here):
    assert artifacts.store().folder == Store(paths.STORE).folder == Path(".earshift")
