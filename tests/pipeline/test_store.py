"""The store: what is put there comes back whole, and what is not whole does not count, whatever was killed when."""

import errno
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from earshift.errors import UserError
from earshift.pipeline import store as module
from earshift.pipeline.store import Manifest, Store
from earshift.storage.hashes import digest

KEY, OTHER = "ab" * 32, "ab" + "cd" * 31
CONTENT = {"metrics/a.json": b"{}", "plots/a/curves.csv": b"x,y\n1,2\n"}

pytestmark = pytest.mark.skipif(os.name == "nt", reason="forks processes")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Store(Path(".earshift"))


def write(content=CONTENT, root=Path()):
    """Write files by their paths, each under a new name as stages do; gives their manifest."""
    for path, data in content.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).unlink(missing_ok=True)
        (root / path).write_bytes(data)
    return Manifest("test/a", {path: digest(root / path) for path in content})


def content(root=Path(), paths=tuple(CONTENT)):
    return {path: (root / path).read_bytes() for path in paths if (root / path).is_file()}


def stored(store, key=KEY, path="metrics/a.json"):
    file = store.file(key, path)
    assert file is not None
    return file


def leftovers(store):
    return sorted(path.name for path in store.folder.rglob(".*"))


def in_another_process(function, *arguments):
    """Run a function in a fork of this process; gives its exit status."""
    process = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    process.start()
    process.join()
    return process.exitcode


# ------------------------------------------------------------------------------------------------------- there and back


def test_what_was_put_comes_back_under_any_root(store, tmp_path):
    assert KEY not in store and store.manifest(KEY) is None and store.restore(KEY) is None
    manifest = write(root=tmp_path / "work")
    store.put(KEY, manifest, root=tmp_path / "work")
    shutil.rmtree(tmp_path / "work")
    assert KEY in store and store.manifest(KEY) == store.check(KEY) == manifest and list(store.keys()) == [KEY]
    assert store.restore(KEY) == manifest and content() == CONTENT
    assert store.restore(KEY, root=tmp_path / "elsewhere") == manifest and content(tmp_path / "elsewhere") == CONTENT
    assert OTHER not in store and store.file(KEY, "metrics/b.json") is None


def test_files_are_hard_links(store):
    store.put(KEY, write())
    for path in CONTENT:
        assert stored(store, path=path).samefile(path)
        Path(path).unlink()
    store.restore(KEY)
    store.restore(KEY)  # over what is there
    for path in CONTENT:
        assert stored(store, path=path).samefile(path) and len(list(Path(path).parent.iterdir())) == 1


def test_files_are_copies_where_there_are_no_links(store, monkeypatch):
    def fails(*arguments, **options):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", fails)
    store.put(KEY, write())
    for path in CONTENT:
        assert not stored(store, path=path).samefile(path)
        Path(path).write_bytes(b"another")
    store.restore(KEY)
    assert content() == CONTENT and not stored(store).samefile("metrics/a.json") and not leftovers(store)


def test_of_a_symbolic_link_the_file_is_kept(store, tmp_path):
    """DVC makes these where cache.type is symlink, and removes what they point to with `dvc gc`."""
    manifest = write(root=tmp_path / "cache")
    for path in CONTENT:
        Path(path).parent.mkdir(parents=True)
        Path(path).symlink_to(tmp_path / "cache" / path)
    store.put(KEY, manifest)
    shutil.rmtree(tmp_path / "cache")
    assert store.restore(KEY) == manifest and content() == CONTENT


def test_what_is_there_is_not_put_again(store):
    store.put(KEY, write())
    before = stored(store).stat().st_ino
    store.put(KEY, write())
    assert stored(store).stat().st_ino == before
    store.put(OTHER, write({"metrics/a.json": b"[]"}))
    assert list(store.keys()) == [KEY, OTHER] and store.manifest(KEY).files != store.manifest(OTHER).files


def test_a_removed_artifact_is_gone_and_its_neighbour_is_not(store):
    for key in (KEY, OTHER):
        store.put(key, write())
    store.remove(KEY)
    store.remove(KEY)
    assert list(store.keys()) == [OTHER] and store.restore(KEY) is None and not leftovers(store)
    store.put(KEY, write())
    assert store.check(KEY)


# --------------------------------------------------------------------------------------------------------------- damage


def of_another_version(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "colour": "blue"}))


DAMAGE = {
    "a byte": lambda folder: (folder / "1").write_bytes(b"x,y\n1,3\n"),
    "cut short": lambda folder: (folder / "1").write_bytes(b"x,y\n"),
    "a file is missing": lambda folder: (folder / "0").unlink(),
    "a folder for a file": lambda folder: ((folder / "0").unlink(), (folder / "0").mkdir()),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "half a manifest": lambda folder: (folder / "manifest.json").write_text('{"name": "test/a", "fil'),
    "another manifest": lambda folder: (folder / "manifest.json").write_text('["name", "files"]'),
    "files that are none": lambda folder: (folder / "manifest.json").write_text('{"name": "a", "files": ["x"]}'),
    "another version": of_another_version,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_is_damaged_is_never_restored_and_can_be_put_again(store, damage):
    for key in (KEY, OTHER):
        store.put(key, manifest := write())
    for path in CONTENT:
        Path(path).unlink()  # the files in the store have no other name now
    damage(store.folder / "objects" / "ab" / KEY)
    assert store.restore(KEY) is None and KEY not in store and content() == {}
    store.put(KEY, write())
    assert store.check(KEY) == manifest and list(store.keys()) == [KEY, OTHER]
    assert store.check(OTHER) == manifest, "only the damaged one is touched"


def test_damage_is_said(store, capsys):
    store.put(KEY, write())
    Path("metrics/a.json").write_text("damaged")  # in place: the file in the store is the same
    assert store.check(KEY) is None
    assert "is damaged, its checksum does not hold; it is made again" in capsys.readouterr().out


# ----------------------------------------------------------------------------------------------------- killed at a step


def killed_before(step, store, manifest):
    """Put an artifact and end, as a kill would, before a step of it."""
    where, name = {
        "link": (os, "link"), "second link": (os, "link"), "manifest": (module, "write_json"),
        "half a manifest": (os, "replace"), "rename": (os, "replace"), "clean up": (shutil, "rmtree"),
    }[step]  # fmt: skip
    left = {"second link": 1, "rename": 1}.get(step, 0)  # calls that still go through
    function = getattr(where, name)

    def counted(*arguments, **options):
        nonlocal left
        if left == 0:
            os._exit(9)
        left -= 1
        return function(*arguments, **options)

    setattr(where, name, counted)
    store.put(KEY, manifest)


@pytest.mark.parametrize("step", ["link", "second link", "manifest", "half a manifest", "rename"])
def test_a_killed_put_leaves_nothing_that_counts_as_whole(store, step):
    store.put(OTHER, write())
    manifest = Manifest("test/a", write().files, "family", "rows")
    assert in_another_process(killed_before, step, store, manifest) == 9
    assert KEY not in store and list(store.keys()) == [OTHER] and store.restore(KEY) is None
    assert list(store.relatives("family")) == [] and leftovers(store)
    store.remove_leftovers()
    assert not leftovers(store) and list(store.keys()) == [OTHER]
    store.put(KEY, manifest)
    assert store.check(KEY) == manifest and list(store.relatives("family")) == [(KEY, manifest)]


def test_what_was_put_before_a_kill_is_whole(store):
    manifest = Manifest("test/a", write().files, "family", "rows")
    assert in_another_process(killed_before, "clean up", store, manifest) == 9
    assert store.restore(KEY) == manifest and list(store.relatives("family")) == [(KEY, manifest)]


def killed_while_removing(store):
    shutil.rmtree = lambda *arguments, **options: os._exit(9)
    store.remove(KEY)


def test_a_killed_removal_leaves_nothing_that_counts_as_whole(store):
    store.put(KEY, write())
    assert in_another_process(killed_while_removing, store) == 9
    assert KEY not in store and list(store.keys()) == []
    store.remove_leftovers()
    assert not leftovers(store)


def test_leftovers_of_a_process_that_runs_stay(store):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept, gone = [], []
    for process, found in ((os.getppid(), kept), (dead.pid, gone), ("none", gone)):
        found += [store.folder / f"objects/ab/.{KEY}.{process}.tmp", store.folder / f"work/{KEY}.{process}"]
    for folder in (*kept, *gone):
        folder.mkdir(parents=True)
        (folder / "0").write_text("half")
    store.remove_leftovers()
    assert [folder.exists() for folder in (*kept, *gone)] == [True] * 2 + [False] * 4


# ---------------------------------------------------------------------------------------------------- several processes


def put_everything(store, start):
    start.wait()
    for number in range(12):
        key = f"{number:02d}" * 32
        path = f"metrics/{number}.json"
        store.put(key, Manifest(key, {path: digest(path)}))


def test_processes_that_put_the_same_keys_at_once(store):
    files = {f"metrics/{number}.json": bytes([number]) for number in range(12)}
    write(files)
    context = multiprocessing.get_context("fork")
    start = context.Barrier(3)
    processes = [context.Process(target=put_everything, args=(store, start)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    shutil.rmtree("metrics")
    assert all(map(store.restore, store.keys())) and len(list(store.keys())) == 12
    assert content(paths=files) == files and not leftovers(store)


def test_the_slower_of_two_processes_takes_what_the_quicker_has_put(store, monkeypatch):
    manifest, write_json = write(), module.write_json

    def another_is_quicker(*arguments):
        monkeypatch.setattr(module, "write_json", write_json)
        assert in_another_process(store.put, KEY, manifest) == 0 and KEY in store
        write_json(*arguments)

    monkeypatch.setattr(module, "write_json", another_is_quicker)
    store.put(KEY, manifest)
    assert store.check(KEY) == manifest and not leftovers(store)


def test_one_that_reads_while_another_puts_sees_all_or_nothing(store):
    manifest, seen, ended = write(), [], threading.Event()
    keys = [f"{number:02d}" * 32 for number in range(20)]

    def read():
        while not ended.is_set():
            seen.extend(store.check(key) for key in keys)

    reader = threading.Thread(target=read)
    reader.start()
    for key in keys:
        store.put(key, manifest)
    ended.set()
    reader.join()
    assert all(each is None or each == manifest for each in seen) and list(store.keys()) == keys


# ---------------------------------------------------------------------------------------------------- cannot be written


@pytest.mark.parametrize("number, words", [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only")])
def test_a_disk_that_cannot_be_written_is_one_message(store, monkeypatch, number, words):
    def fails(*arguments, **options):
        raise OSError(number, os.strerror(number))

    manifest = write()
    for name in ("link", "replace"):
        monkeypatch.setattr(os, name, fails)
    monkeypatch.setattr(shutil, "copyfile", fails)
    with pytest.raises(UserError, match=f"cannot write .earshift: .*{words}"):
        store.put(KEY, manifest)
    assert KEY not in store and not leftovers(store)


def test_a_file_that_is_not_there_is_no_matter_of_links(store):
    manifest = write()
    Path("metrics/a.json").unlink()
    with pytest.raises(UserError, match="cannot write .earshift: .*metrics/a.json"):
        store.put(KEY, manifest)
    assert KEY not in store and not leftovers(store)


# ----------------------------------------------------------------------------------------------------------------- rows


def test_relatives_are_the_whole_artifacts_of_a_family(store):
    families = {"0" * 64: "one", "1" * 64: "one", "2" * 64: "other", "3" * 64: ""}
    for key, family in families.items():
        store.put(key, Manifest(key, write().files, family, "rows"))
    assert [key for key, _ in store.relatives("one")] == ["0" * 64, "1" * 64]
    assert [key for key, _ in store.relatives("other")] == ["2" * 64]
    store.remove("0" * 64)
    assert [key for key, _ in store.relatives("one")] == ["1" * 64] and list(store.relatives("none")) == []


@pytest.mark.parametrize("hashes", [[], ["a"], ["a-44100-1", "b-8000-0"]])
def test_rows_are_remembered(store, hashes):
    assert store.rows("digest") is None
    store.remember_rows("digest", hashes)
    store.remember_rows("digest", ["what is known does not change"])
    assert store.rows("digest") == (hashes or [""])
