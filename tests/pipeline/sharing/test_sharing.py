"""What is pushed and pulled, on a pipeline of the repository's form whose stages take no time."""

import functools
import http.server
import json
import os
import shutil
import socket
import socketserver
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from earshift.errors import UserError
from earshift.pipeline.artifacts import store
from earshift.pipeline.config import load, read
from earshift.pipeline.sharing import sharing
from earshift.pipeline.sharing.configuration import set_remote

REPOSITORY = Path(__file__).parents[3]
# Writes outputs as the stages of the repository do: artifacts in an index, a folder for every encoder and perturbation
WRITE = """
import json, sys
from pathlib import Path
from earshift.pipeline.artifacts import INDEX
from earshift.storage.hashes import digest

folder, run = Path(sys.argv[1]), json.loads(sys.argv[2])
index = {}
for name in run:
    files = [Path(path, name if "." in name else f"{name}.csv") for path in sys.argv[3:] or [folder]]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{path}\\n")
    key = digest(files[0])
    index[name] = {"key": key, "basis": key, "files": {str(path): digest(path) for path in files}}
(folder / INDEX).write_text(json.dumps({"artifacts": index}))
"""
PIPELINE = """
stages:
  inputs:
    cmd: mkdir -p data/inputs/encoders && touch data/inputs/encoders/mfcc.json data/inputs/encoders/yamnet.json
    outs: [data/inputs]
  corpus:
    cmd: mkdir -p data/corpus && echo clips > data/corpus/clips.csv && echo terms > data/corpus/LICENCE.txt
    deps: [params.yaml]
    outs: [data/corpus]
  models:
    matrix: {encoder: "${run.encoders}"}
    cmd: mkdir -p data/models/${item.encoder} && echo ${item.encoder} > data/models/${item.encoder}/model.json
    outs: ["data/models/${item.encoder}"]
  perturb:
    matrix: {perturbation: "${run.perturbations}"}
    cmd: python write.py data/perturbed/${item.perturbation} '["1", "2"]'
    outs: ["data/perturbed/${item.perturbation}"]
  embed:
    matrix: {encoder: "${run.encoders}"}
    cmd: python write.py data/embeddings/${item.encoder} '["original", "gain/1", "gain/2", "reverb/1", "reverb/2"]'
    deps: ["data/models/${item.encoder}", data/perturbed]
    outs: ["data/embeddings/${item.encoder}"]
  excerpts:
    cmd: python write.py data/excerpts '["gain.json", "reverb.json"]'
    deps: [data/perturbed]
    outs: [data/excerpts]
  cca:
    cmd: >-
      python write.py metrics/cca '["mfcc/gain", "mfcc/reverb", "yamnet/gain", "yamnet/reverb"]' metrics/cca plots/cca
    deps: [data/embeddings]
    outs: [plots/cca]
    metrics: [metrics/cca: {cache: false}]
  figures:
    cmd: echo all > plots/figures
    deps: [plots/cca]
    outs: [plots/figures]
"""
OUTPUTS = 11  # in DVC's cache


def belonging(encoders=("mfcc", "yamnet"), perturbations=("gain", "reverb")):
    """Files below data/ and plots/ that belong to a part, or to no encoder and no perturbation."""
    of = {
        "data/corpus/clips.csv", "data/corpus/LICENCE.txt", "data/excerpts/index.json",
        "data/inputs/encoders/mfcc.json", "data/inputs/encoders/yamnet.json",
        *(f"data/models/{e}/model.json" for e in encoders),
        *(f"data/perturbed/{p}/{file}" for p in perturbations for file in ("index.json", "1.csv", "2.csv")),
        *(f"data/embeddings/{e}/{file}" for e in encoders for file in ("index.json", "original.csv")),
        *(f"data/embeddings/{e}/{p}/{value}.csv" for e in encoders for p in perturbations for value in (1, 2)),
        *(f"data/excerpts/{p}.json" for p in perturbations),
        *(f"plots/cca/{e}/{p}.csv" for e in encoders for p in perturbations),
    }  # fmt: skip
    return of


EVERYTHING = belonging() | {"plots/figures"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A repository whose pipeline has been run and committed."""
    root = tmp_path_factory.mktemp("made") / "repository"
    (root / ".dvc").mkdir(parents=True)
    document = YAML(typ="safe").load((REPOSITORY / "params.yaml").read_text())
    document["run"] = {"encoders": ["mfcc", "yamnet"], "perturbations": ["gain", "reverb"]}
    with open(root / "params.yaml", "w") as file:
        YAML(typ="safe").dump(document, file)
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "write.py").write_text(WRITE)
    (root / ".dvc/config").write_text("[core]\n    analytics = false\n")
    shutil.copy(REPOSITORY / ".dvc/.gitignore", root / ".dvc")
    (root / ".gitignore").write_text("/data/\n/plots/\n/.earshift/\n")
    dvc = [sys.executable, "-m", "dvc"]
    for command in (["git", "init", "-q"], [*dvc, "repro", "-q"], ["git", "add", "-A"],
                    ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "made"]):  # fmt: skip
        subprocess.run(command, cwd=root, check=True, capture_output=True, env=environment())
    return root


def environment():
    """In which a process finds this repository's sources and the same Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY)}


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """A copy of it, in which the test runs, with a folder as its shared remote."""
    shutil.copytree(made, tmp_path / "repository")
    monkeypatch.chdir(tmp_path / "repository")
    set_remote(str(tmp_path / "store"))
    return tmp_path / "repository"


def files():
    return {str(path) for top in ("data", "plots") for path in Path(top).rglob("*") if path.is_file()}


def holding(content, folder):
    """The file below a folder that holds that."""
    (path,) = (path for path in folder.rglob("*") if path.is_file() and path.read_text() == content)
    return path


def forget():
    """As in a fresh clone."""
    for folder in ("data", "plots", ".dvc/cache", ".earshift"):
        shutil.rmtree(folder, ignore_errors=True)


def stored():
    """Names of the artifacts in the store."""
    return {manifest.name for manifest in map(store().manifest, store().keys())}


def test_all_of_it_and_nothing_twice(here, capsys):
    sharing.push()
    assert f"has {OUTPUTS} outputs; new there: " in capsys.readouterr().out
    sharing.push()
    assert f"has {OUTPUTS} outputs; new there: 0 files, 0 cached runs" in capsys.readouterr().out
    forget()
    sharing.pull()
    printed = capsys.readouterr().out
    assert f"{OUTPUTS} outputs are here" in printed and " cached runs" in printed and "next: dvc repro" in printed
    assert files() == EVERYTHING
    assert Path("data/embeddings/yamnet/gain/1.csv").read_text() == "data/embeddings/yamnet/gain/1.csv\n"
    assert list(Path(".dvc/cache/runs").rglob("*")), "the run cache comes along"
    sharing.pull()
    assert "new: 0 files, 0 cached runs" in capsys.readouterr().out


def test_a_part(here, capsys):
    sharing.push()
    forget()
    capsys.readouterr()
    sharing.pull(encoders=["yamnet"], perturbations=["gain"])
    assert files() == belonging(["yamnet"], ["gain"])
    assert stored() == {"gain/1", "gain/2", "yamnet/original", "yamnet/gain/1", "yamnet/gain/2", "excerpts/gain.json",
                        "cca/yamnet/gain"}  # fmt: skip
    assert "dvc exp run -S 'run.encoders=[yamnet]' -S 'run.perturbations=[gain]'" in capsys.readouterr().out
    sharing.pull(perturbations=["gain"])
    assert files() == belonging(perturbations=["gain"])
    sharing.pull()
    assert files() == EVERYTHING


def test_a_part_is_pushed(here, made, tmp_path, monkeypatch):
    """It is of use alone, and does not keep the rest from being pushed later."""
    sharing.push(encoders=["mfcc"], perturbations=["gain"])
    there = {path.read_text() for path in (tmp_path / "store/files").rglob("*") if path.is_file()}
    assert "data/embeddings/mfcc/gain/1.csv\n" in there
    assert not any(line.startswith(("data/embeddings/mfcc/reverb", "data/embeddings/yamnet")) for line in there)
    forget()
    sharing.pull(encoders=["mfcc"], perturbations=["gain"])
    assert files() == belonging(["mfcc"], ["gain"])
    lacking = r"lacks data/embeddings/mfcc, data/embeddings/yamnet, data/excerpts and \d more"
    with pytest.raises(UserError, match=lacking):
        sharing.pull()
    assert belonging(["mfcc"], ["gain"]) <= files()

    set_remote(str(tmp_path / "other"))
    sharing.push(encoders=["mfcc"], perturbations=["gain"])  # by whoever has no more than that
    with pytest.raises(UserError, match="are neither here nor on"):
        sharing.push(encoders=["mfcc"])
    shutil.copytree(made, tmp_path / "whole")
    monkeypatch.chdir(tmp_path / "whole")
    for place in ("store", "other"):
        set_remote(str(tmp_path / place))
        sharing.push()
        forget()
        sharing.pull()
        assert files() == EVERYTHING


def test_names(here):
    settings = load()
    both = ["mfcc", "yamnet"], ["gain", "reverb"]
    assert sharing.choose(settings, [], []) == sharing.Choice(*both, False, frozenset())
    assert sharing.choose(settings, ["yamnet", "mfcc"], []) == sharing.choose(settings, [], [])
    assert sharing.choose(settings, [], ["reverb"]) == sharing.Choice(both[0], ["reverb"], True, frozenset({"gain"}))
    with pytest.raises(UserError, match=r"ENCODERS names 'openl3'; run.encoders in params.yaml has mfcc, yamnet"):
        sharing.choose(settings, ["mfcc", "openl3"], [])
    with pytest.raises(UserError, match="PERTURBATIONS names 'lowpass'.* gain, reverb"):
        sharing.push(perturbations=["lowpass"])


def test_what_is_neither_here_nor_there(here, tmp_path):
    cached = holding("mfcc\n", Path(".dvc/cache/files"))
    content = cached.read_text()
    cached.unlink()
    with pytest.raises(UserError, match="data/models/mfcc are neither here nor on"):
        sharing.push()
    assert not list((tmp_path / "store").rglob("files/md5/*/*")), "half of it helps nobody"
    sharing.push(encoders=["yamnet"])

    cached.write_text(content)
    sharing.push()
    cached.unlink()
    sharing.push()  # what is there already need not be here


def test_what_was_never_made(here):
    document = read()
    document["run"]["perturbations"].append("lowpass")
    with open("params.yaml", "w") as file:
        YAML(typ="safe").dump(document, file)
    with pytest.raises(UserError, match="data/perturbed/lowpass were never made; `dvc repro`"):
        sharing.push()


def test_what_breaks_off_goes_on(here, tmp_path):
    cached = holding("mfcc\n", Path(".dvc/cache/files"))
    blocked = tmp_path / "store/files/md5" / cached.parent.name
    blocked.parent.mkdir(parents=True)
    blocked.write_text("in the way")
    with pytest.raises(UserError) as caught:
        sharing.push()
    assert "a file is where a folder should be; what is through stays, and the same command" in str(caught.value)
    blocked.unlink()
    sharing.push()
    forget()
    sharing.pull()
    assert files() == EVERYTHING


def test_what_the_remote_lacks(here, tmp_path, capsys):
    with pytest.raises(UserError, match="nothing is there yet"):
        sharing.pull()
    sharing.push()
    forget()
    holding("plots/cca/yamnet/gain.csv\n", tmp_path / "store/files").unlink()
    with pytest.raises(UserError, match="lacks plots/cca; whoever ran this commit says `make push`"):
        sharing.pull()
    assert files() == {file for file in EVERYTHING if not file.startswith("plots/cca/")}


def test_what_was_changed_here_is_not_lost(here):
    sharing.push()
    Path("plots/figures").unlink()
    Path("plots/figures").write_text("mine\n")
    with pytest.raises(UserError, match="plots/figures was changed here and would be lost"):
        sharing.pull()
    assert Path("plots/figures").read_text() == "mine\n"


def test_what_is_not_committed_is_told(here, capsys):
    sharing.push()
    assert "not committed: .dvc/config; a colleague pulls what the committed dvc.lock names" in capsys.readouterr().out


def test_no_remote_and_a_remote_that_is_only_read(here, monkeypatch):
    Path(".dvc/config").write_text(
        "[core]\n    remote = shared\n['remote \"shared\"']\n    url = http://127.0.0.1:1/\n    verify = true\n"
    )
    with pytest.raises(UserError, match="is only read"):
        sharing.push()
    with pytest.raises(UserError, match="the connection is refused"):
        sharing.pull()
    Path(".dvc/config").write_text("[core]\n    analytics = false\n")
    for attempt in (sharing.push, sharing.pull):
        with pytest.raises(UserError, match="no shared remote is set"):
            attempt()


@pytest.fixture
def web(tmp_path):
    """The address at which a web server shows the folder of the shared remote."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=tmp_path / "store")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_web_server_is_read(here, web, capsys):
    sharing.push()
    set_remote(web)
    assert "it replies, and is only read" in capsys.readouterr().out
    forget()
    sharing.pull()
    assert files() == EVERYTHING


# Pushes to a small file system of its own, in a namespace that ends with the process, and to the same with more space
FULL = """
import json, shutil, subprocess, sys
from pathlib import Path
from earshift.errors import UserError
from earshift.pipeline.sharing import sharing

def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", sys.argv[1]], check=True)

mount("size=64k")
try:
    Path(sys.argv[1], "filler").write_bytes(bytes(32768))
    sharing.push()
except UserError as error:
    printed = str(error)
from earshift.storage.hashes import digest
there = [p for p in Path(sys.argv[1]).rglob("files/md5/*/*") if not p.name.endswith(".tmp")]
half = [str(p) for p in there if digest(p, "md5") != p.parent.name + p.name.removesuffix(".dir")]
subprocess.run(["mount", "-o", "remount,size=50m", sys.argv[1]], check=True)
sharing.push()
for folder in ("data", "plots", ".dvc/cache"):
    shutil.rmtree(folder)
sharing.pull()
print(json.dumps([printed, half]))
"""


def test_a_remote_whose_disk_is_full(here, tmp_path):
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-rm"]
    store = tmp_path / "store"
    store.mkdir(exist_ok=True)
    attempt = [*unshare, "mount", "-t", "tmpfs", "tmpfs", str(store)]
    if shutil.which("unshare") is None or subprocess.run(attempt, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here: this user has no namespaces of its own")
    command = [*unshare, sys.executable, "-c", FULL, str(store)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1200)
    assert run.returncode == 0, run.stderr
    printed, half = json.loads(run.stdout.splitlines()[-1])
    assert "its disk is full; free some space there" in printed and "the same command goes on from there" in printed
    assert "\n" not in printed and half == []
    assert files() == EVERYTHING


class Dropping(socketserver.ThreadingTCPServer):
    """Passes connections on to another server; with `left` uploads to go, resets them at the next one."""

    daemon_threads = True
    left = 10**6

    def __init__(self, behind):
        self.behind = behind
        super().__init__(("127.0.0.1", 0), _Passing)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Passing(socketserver.BaseRequestHandler):
    def handle(self):
        with socket.create_connection(self.server.behind) as behind:
            threading.Thread(target=_pump, args=(behind, self.request), daemon=True).start()
            while content := self.request.recv(1 << 16):
                self.server.left -= content.startswith(b"PUT ")
                if self.server.left < 0:
                    self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                behind.sendall(content)


def _pump(source, target):
    try:
        while content := source.recv(1 << 16):
            target.sendall(content)
    except OSError:  # the connection was reset, on purpose
        return


@pytest.fixture
def dropping(monkeypatch):
    """A server that speaks S3, with a bucket, behind one that drops connections."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    behind = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    behind.start()
    boto3.client("s3", endpoint_url="http://{}:{}".format(*behind.get_host_and_port())).create_bucket(Bucket="team")
    with Dropping(behind.get_host_and_port()) as server:
        yield server
        server.shutdown()
    behind.stop()


def test_a_server_that_drops_the_connection(here, dropping):
    set_remote("s3://team/earshift", endpoint=f"http://127.0.0.1:{dropping.server_address[1]}")
    dropping.left = 4
    with pytest.raises(UserError) as caught:
        sharing.push()
    assert "the connection broke" in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).endswith("the same command goes on from there")
    dropping.left = 10**6
    sharing.push()
    forget()
    sharing.pull()
    assert files() == EVERYTHING


def test_a_tampered_folder_on_the_remote_is_refused(here, tmp_path):
    sharing.push()
    forget()
    (listing,) = (p for p in (tmp_path / "store").rglob("*.dir") if "LICENCE.txt" in p.read_text())
    content = listing.read_text()
    listing.chmod(0o644)
    listing.write_text(content.replace("LICENCE.txt", "../../code.py"))
    with pytest.raises(UserError, match="lacks data/corpus"):
        sharing.pull()
    assert not list(here.rglob("code.py"))
    listing.write_text(content)
    sharing.pull()
    assert files() == EVERYTHING


def test_a_remote_without_verification_is_refused(here):
    sharing.push()
    config = Path(".dvc/config")
    config.write_text(config.read_text().replace("verify = true", "verify = false"))
    with pytest.raises(UserError, match="`dvc remote modify shared verify true`"):
        sharing.pull()
