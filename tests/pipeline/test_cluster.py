"""The map over clips on a real Dask cluster on this machine: same files, whatever dies, and nothing unfit takes part.

Processes are started once for all tests here; those that a test has killed are started again for the next one.
"""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from clones import counts, small_run

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.cluster import client, device, ordered_map, transfer
from earshift.pipeline.cluster.transfer import Shelf
from earshift.pipeline.cluster.worker import WorkingFolder
from earshift.pipeline.embed import embed
from earshift.pipeline.perturb import perturb

REPOSITORY = Path(__file__).parents[2]

# What workers import that is not in the repository
TASKS = """
import os, time
from pathlib import Path

from earshift.errors import UserError



def where(n):
    time.sleep(0.01 * (n % 3))
    return n, os.getpid()


def fail(n):
    raise UserError(f"clip {n} is broken")


def die(start, stop):
    os._exit(9)


def hiccup(path):
    if not Path(path).exists():
        Path(path).touch()
        raise OSError("stale file handle")
    return "read"


def total(named):
    return {name: float(array.sum()) for name, array in named.items()}


def alike():
    return "cpu"


def pid():
    return f"GPU {os.getpid()}"
"""


class Cluster:
    """A scheduler and workers as processes, which tests kill; what is missing is started again."""

    def __init__(self, folder):
        self._folder, self._scheduler, self._workers, self._code, self.address = folder, None, [], None, None
        (folder / "on_workers.py").write_text(TASKS)
        shutil.copy(REPOSITORY / "tests/toys.py", folder)

    def __call__(self, workers, code=REPOSITORY):
        """The address of the scheduler, with so many workers of two threads each that run the code of a folder."""
        if self._scheduler is None or self._scheduler.poll() is not None:
            self._lay_off(0)
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            self.address = f"tcp://127.0.0.1:{port}"
            self._scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(port))
        self._workers = [worker for worker in self._workers if worker.poll() is None]
        self._lay_off(workers if code == self._code else 0)
        self._code = code
        while len(self._workers) < workers:
            self._workers.append(self.worker(first=code))
        self._until(workers)
        return self.address

    def worker(self, *, plain=False, first=None, prefix=()):
        """Another worker; `first`: a folder that it imports from before all others."""
        return self._start("worker", self.address, "--nthreads", "2", "--no-nanny", "--death-timeout", "600",
                           plain=plain, first=first, prefix=prefix)  # fmt: skip

    def kill_worker(self):
        self._kill(self._workers.pop())

    def _lay_off(self, left):
        while len(self._workers) > left:
            self.kill_worker()

    def kill_scheduler(self):
        self._kill(self._scheduler)

    def _start(self, what, *options, plain=False, first=None, prefix=()):
        dask = [sys.executable, "-m", "dask", what, *options, "--no-dashboard"]
        if what == "worker":
            dask += ["--local-directory", str(self._folder)]
        environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
        for name in ("NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE"):
            environment.pop(name, None)
        environment["PYTHONPATH"] = os.pathsep.join(map(str, filter(None, [first, REPOSITORY, self._folder])))
        environment["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = "1"
        command = [*prefix, *([] if plain else [sys.executable, "-m", "earshift", "worker"]), *dask]
        log = open(self._folder / f"{what}.log", "a")  # noqa: SIM115
        return subprocess.Popen(command, cwd=first or self._folder, env=environment, stdout=log, stderr=log)

    def _until(self, workers):
        """Wait until the scheduler knows so many workers."""
        from distributed import Client

        with Client(self.address, timeout="600s", set_as_default=False) as client:
            deadline = time.monotonic() + 1800
            while len(client.nthreads()) != workers:
                assert time.monotonic() < deadline, (self._folder / "worker.log").read_text()[-3000:]
                time.sleep(0.05)

    def joined(self, process):
        """A worker that was started by hand; gone when the block ends."""
        return _Joined(self, process)

    def close(self):
        for process in [*self._workers, self._scheduler]:
            if process is not None:
                self._kill(process)

    def _kill(self, process):
        process.kill()
        process.wait()


class _Joined:
    def __init__(self, cluster, process):
        self._cluster, self._process = cluster, process

    def __enter__(self):
        self._cluster._until(len(self._cluster._workers) + 1)

    def __exit__(self, *exception):
        self._cluster._kill(self._process)
        self._cluster._until(len(self._cluster._workers))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    found = Cluster(folder)
    sys.path.append(str(folder))
    try:
        yield found
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("on_workers", None)
        found.close()


@pytest.fixture
def tasks(cluster, workspace):
    """The module of TASKS, in an empty working folder."""
    import on_workers

    return on_workers


# ------------------------------------------------------------------------------------------------------- the pipeline


OF_THE_CLUSTER = ("data/perturbed/gain", "data/distances/gain", "data/embeddings/mfcc/gain", "metrics/cca",
                  "plots/cca")  # fmt: skip


def contents(root):
    files = (path for name in OF_THE_CLUSTER for path in (root / name).rglob("*"))
    return {str(path.relative_to(root)): path.read_bytes() for path in files if path.is_file()}


def test_a_pipeline_on_a_cluster_that_loses_a_worker_gives_the_same_files(cluster, tmp_path_factory):
    clone = small_run(tmp_path_factory)
    expected, lock = contents(clone.root), (clone.root / "dvc.lock").read_bytes()
    for name in (*OF_THE_CLUSTER, ".dvc/cache", ".earshift"):  # with what they would be restored from
        shutil.rmtree(clone.root / name)
    clone.set({"compute.scheduler": cluster(2, clone.root), "compute.chunk": 4})
    embeddings = clone.root / "data/embeddings/mfcc/gain"
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", "perturb@gain", "distances", "embed@mfcc",
               "cca"]  # fmt: skip
    run = subprocess.Popen(command, cwd=clone.root, env=clone.environment, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)  # fmt: skip
    while run.poll() is None and not list(embeddings.glob("[!.]*.h5")):
        time.sleep(0.002)
    cluster.kill_worker()
    left = 4 - len(list(embeddings.glob("[!.]*.h5")))
    log = run.communicate(timeout=1800)[0]
    assert run.returncode == 0, log
    assert left > 0, "the worker was to die while there was work left"
    assert counts(log) == {
        "perturb gain": (4, 4, 0), "distances": (4, 9, 5), "embed mfcc": (4, 9, 5), "cca": (4, 4, 0)
    }  # fmt: skip
    assert contents(clone.root) == expected
    assert (clone.root / "dvc.lock").read_bytes() == lock


# --------------------------------------------------------------------------------------------------------- own encoders


def slow(edited, address, delay=0.01):
    return edited(
        {
            "encoders.slow": {"class": "toys:Slow", "delay": delay},
            "run.encoders": ["slow"],
            "run.perturbations": ["gain"],
            "perturbations.gain.grid": [-30, -20, -10, 5],
            "compute.workers": 1,
            "compute.chunk": 1,
            "compute.device": "cpu",
            "compute.scheduler": address,
        }
    )


def embeddings():
    return {path.name: path.read_bytes() for path in paths.embeddings("slow").rglob("*.h5")}


def forget():
    """Remove all vectors, from the store too."""
    for folder in (paths.EMBEDDINGS, paths.STORE):
        shutil.rmtree(folder)


def test_a_worker_loads_a_network_once_and_keeps_its_threads_apart(cluster, tasks, tiny_corpus, edited):
    perturb(slow(edited, None), "gain")
    embed(slow(edited, None), "slow")
    expected = embeddings()
    forget()
    Path("loads.txt").unlink()
    slow(edited, cluster(2))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(Path(tasks.__file__).parent)])}
    run = subprocess.run([sys.executable, "-m", "stages.embed", "slow"], env=environment,
                         capture_output=True, text=True)  # fmt: skip
    assert run.returncode == 0, run.stderr
    loads = Path("loads.txt").read_text().split()
    assert len(loads) == len(set(loads)) == 2
    assert embeddings() == expected


def test_after_the_scheduler_was_killed_the_next_run_ends_with_the_same_files(cluster, tasks, tiny_corpus, edited):
    params = slow(edited, None, delay=0.02)
    perturb(params, "gain")
    embed(params, "slow")
    expected = embeddings()
    forget()

    def kill_when_a_file_is_there():
        while not list(paths.embeddings("slow", "gain").glob("[!.]*.h5")):
            time.sleep(0.002)
        cluster.kill_scheduler()

    params = slow(edited, cluster(1), delay=0.02)
    killer = threading.Thread(target=kill_when_a_file_is_there)
    killer.start()
    with pytest.raises(UserError, match="scheduler at tcp://.* is lost; finished values stay"):
        embed(params, "slow")
    killer.join()
    kept = embeddings()
    assert kept and kept.items() < expected.items()
    embed(slow(edited, None, delay=0.02), "slow")
    assert embeddings() == expected
    assert not list(paths.SCRATCH.glob("cluster/.*.tmp"))


# -------------------------------------------------------------------------------------------------------------- the map


def test_results_come_in_order_and_tasks_are_read_as_they_are_taken(cluster, tasks):
    read = []
    results = ordered_map(tasks.where, (read.append(n) or (n,) for n in range(60)), cluster(1), together=True)
    assert next(results)[0] == 0
    assert len(read) <= 2 * 2 + 1
    assert [n for n, _ in results] == list(range(1, 60))


def test_a_users_mistake_on_a_worker_keeps_its_message(cluster, tasks):
    with pytest.raises(UserError, match="^clip 0 is broken$"):
        list(ordered_map(tasks.fail, ((n,) for n in range(5)), cluster(1), together=False))


def test_what_fails_once_is_tried_again(cluster, tasks, tmp_path):
    assert list(ordered_map(tasks.hiccup, [(str(tmp_path / "tried"),)], cluster(1), together=True)) == ["read"]


def test_large_arrays_arrive_and_leave_nothing_behind(cluster, tasks):
    large = np.ones((4, 1 << 18))
    found = list(ordered_map(tasks.total, (({"a": large, "b": large[:, :n]},) for n in (1, 2)), cluster(1), together=1))
    assert found == [{"a": large.size, "b": 4.0}, {"a": large.size, "b": 8.0}]
    assert not list(paths.SCRATCH.glob("cluster/.*.tmp"))


def test_a_task_that_kills_its_workers_is_named(cluster, tasks):
    with pytest.raises(UserError, match="clips 33 to 48 of data/corpus/clips.csv.* killed 2 workers.*finished values"):
        list(ordered_map(tasks.die, [(32, 48)], cluster(2), together=True))


def test_when_no_worker_is_left_nothing_hangs(cluster, tasks, monkeypatch):
    address = cluster(1)
    monkeypatch.setattr(client, "_PATIENCE", 1.0)
    monkeypatch.setattr(client, "_LOOK", 0.2)
    with pytest.raises(UserError, match="no workers for 1 s, since clips 1 to 16 of data/corpus/clips.csv"):
        list(ordered_map(tasks.die, [(0, 16)], address, together=True))
    with pytest.raises(UserError, match=f"{address} has no workers; start some"):
        list(ordered_map(tasks.where, [(1,)], address, together=True))


def test_workers_on_different_devices_are_told(cluster, tasks):
    address = cluster(2)
    assert device(address, tasks.alike) == "cpu"
    with pytest.raises(UserError, match=r"GPU \d+ on tcp://.*, GPU \d+ on tcp://.*keep workers of one kind"):
        device(address, tasks.pid)


# ---------------------------------------------------------------------------------------------------------- the refused


def refused(address, tasks, match):
    with pytest.raises(UserError, match=match):
        list(ordered_map(tasks.where, [(1,)], address, together=True))


def test_a_worker_with_another_version_is_refused(cluster, tasks, tmp_path):
    (tmp_path / "numpy-1.0.dist-info").mkdir()
    (tmp_path / "numpy-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    address = cluster(0)
    with cluster.joined(cluster.worker(first=tmp_path)):
        refused(address, tasks, f"worker tcp://.* has numpy 1.0, this machine numpy {np.__version__}; give both")


def test_a_worker_with_other_code_is_refused(cluster, tasks, tmp_path):
    shutil.copytree(REPOSITORY / "earshift", tmp_path / "earshift", ignore=shutil.ignore_patterns("__pycache__"))
    with open(tmp_path / "earshift/audio/mel.py", "a") as file:
        file.write("# edited\n")
    address = cluster(0)
    with cluster.joined(cluster.worker(first=tmp_path)):
        refused(address, tasks, "worker tcp://.* runs other code than this repository's; start it again")


def test_a_worker_without_the_settings_is_refused(cluster, tasks):
    address = cluster(0)
    with cluster.joined(cluster.worker(plain=True)):
        refused(
            address,
            tasks,
            "worker tcp://.* was started without this repository's settings.*earshift worker dask worker",
        )


def test_a_worker_that_does_not_see_the_folder_is_refused(cluster, tasks, tmp_path):
    elsewhere = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', os.getcwd())
    if subprocess.run([*elsewhere, "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let a process see other folders than the rest")
    address = cluster(0)
    with cluster.joined(cluster.worker(prefix=elsewhere)):
        refused(address, tasks, f"worker tcp://.* does not see {os.getcwd()}/.* shared file system")


# --------------------------------------------------------------------------------------------------------------- parts


def test_equal_arrays_are_one_file_until_there_are_too_many(workspace, monkeypatch):
    with Shelf() as shelf:
        first = shelf.put(b"some content")
        assert shelf.put(b"some content") == first
        shelf.give_back([first, first])
        assert Path(first).read_bytes() == b"some content"
        monkeypatch.setattr(transfer, "_KEPT", 0)
        shelf.give_back([shelf.put(b"some content")])
        assert not Path(first).exists()
        shelf.put(b"other content")
    assert not list(Path(first).parent.glob(".*.tmp"))


def test_threads_of_two_repositories_take_turns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    roots = [str(tmp_path / name) for name in ("one", "two")]
    for root in roots:
        os.mkdir(root)
    enter, found = WorkingFolder(), []

    def work(root):
        with enter(root):
            time.sleep(0.02)
            found.append((root, os.getcwd()))

    threads = [threading.Thread(target=work, args=(roots[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and all(root == seen for root, seen in found)
