"""A team's shared remote as people use it: one pushes, another clones, pulls and goes on; no encoder runs there.

For real: a folder, an SSH server and an S3-compatible server, all on this machine. What is the same everywhere is
tested with the folder.
"""

import contextlib
import os
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from clones import cloned, counts, ran, small_run

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
SECRET = secrets.token_hex(20)
PART = ("--encoders", "mfcc", "--perturbations", "gain")


@dataclass
class Place:
    """A remote as `make remote` sets it up.

    here : options that hold on one machine, which each of a team gives
    environment : of the shells in which commands run
    """

    url: str
    options: list = field(default_factory=list)
    here: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return Place(str(tmp_path_factory.mktemp("folder") / "store"))


@pytest.fixture(scope="module")
def ssh(tmp_path_factory):
    """An SSH server of this user's own, that hands out files and nothing else."""
    if SSHD is None:
        pytest.skip("there is no SSH server here (Debian and Ubuntu: apt-get install openssh-server)")
    home = tmp_path_factory.mktemp("ssh")
    (home / ".ssh").mkdir()
    for name in ("host", "key", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name], check=True)
    shutil.copy(home / "key.pub", home / "authorized_keys")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (home / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nPidFile none\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {home}/authorized_keys\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin yes\nSubsystem sftp internal-sftp\nForceCommand internal-sftp\n"
    )
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # which the server asks for when root starts it
    host_key = (home / "host.pub").read_text()
    (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    with open(home / "log", "w") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", home / "config"], stdout=log, stderr=log)
    try:
        _wait_for(port, server, home / "log")
        url = f"ssh://127.0.0.1:{port}{home}/store"
        yield Place(url, here=["--keyfile", str(home / "key")], environment={"HOME": str(home)})
    finally:
        server.terminate()
        server.wait()


def _wait_for(port, server, log):
    for _ in range(6000):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        if server.poll() is not None:
            pytest.fail(f"the SSH server did not start: {log.read_text()}")
        time.sleep(0.1)


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """A server that speaks S3, with a bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "a-key", "aws_secret_access_key": SECRET}
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys).create_bucket(Bucket="team")
    home = str(tmp_path_factory.mktemp("s3"))
    environment = {"AWS_ACCESS_KEY_ID": "a-key", "AWS_SECRET_ACCESS_KEY": SECRET, "HOME": home}
    yield Place("s3://team/earshift", ["--endpoint", endpoint], environment=environment)
    server.stop()


@pytest.fixture(params=["ssh", "s3"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def keeper(tmp_path_factory):
    """Another clone whose pipeline has been run, for other remotes than the folder."""
    return small_run(tmp_path_factory)


@pytest.fixture(scope="module")
def shared_folder(first, folder):
    """The clone `first` with all of it pushed to a folder."""
    _share(first, folder)
    return first


def remote(clone, *arguments, place=None, check=True):
    """What ``earshift remote``, ``push`` and ``pull`` print."""
    before = dict(clone.environment)
    for name in [name for name in clone.environment if name.startswith("AWS_")]:
        del clone.environment[name]
    clone.environment |= place.environment if place else {}
    try:
        log = clone(sys.executable, "-m", "earshift", *arguments, check=check)
    finally:
        clone.environment = before
    assert "Traceback" not in log
    return log


def _share(clone, place, *part):
    said = remote(clone, "remote", place.url, *place.options, *place.here, place=place)
    assert f"{place.url} is the shared remote: written, read back and compared" in said
    clone("git", "add", "-A")
    clone("git", "commit", "-qm", "shared remote", "--allow-empty")
    assert "not committed" not in remote(clone, "push", *part, place=place)


def _audio(clone):
    return list(clone.root.glob("data/audio/**/*.h5"))


def _no_secret_is_in_git(place, *clones):
    """And nothing of this machine."""
    for clone in clones:
        assert clone("git", "ls-files", ".dvc/config.local") == ""
        committed = clone("git", "show", "HEAD:.dvc/config")
        assert place.url in committed and "keyfile" not in committed
        key = f"{place.environment.get('HOME')}/key"
        assert clone("git", "grep", "-l", "-e", SECRET, "-e", key, check=False) == ""
    assert (clone.root / ".dvc/config.local").exists() == bool(place.here)


def test_a_colleague_goes_on_without_an_encoder(shared_folder, folder, tmp_path):
    second = cloned(shared_folder, tmp_path / "second")
    said = remote(second, "pull")
    assert "next: dvc repro" in said
    assert not _audio(second) and not list(second.root.glob("data/models/*/*.npz"))
    assert not ran(second.dvc("repro", "--dry"))
    log = second.dvc("repro", "report")
    assert not ran(log) and "computed" not in log
    assert second("git", "status", "--porcelain") == ""
    _no_secret_is_in_git(folder, shared_folder, second)


def test_a_server_gives_what_it_was_given(keeper, server, tmp_path):
    _share(keeper, server, *PART)
    second = cloned(keeper, tmp_path / "second")
    if server.here:
        remote(second, "remote", *server.here, place=server)
    remote(second, "pull", *PART, place=server)
    for path in (path for path in second.root.glob("data/**/*") if path.is_file() and "profiles" not in path.parts):
        assert path.read_bytes() == (keeper.root / path.relative_to(second.root)).read_bytes()
    assert len(list(second.root.glob("data/embeddings/mfcc/gain/*.h5"))) == 4 and not _audio(second)
    _no_secret_is_in_git(server, keeper, second)


def test_other_numbers_of_one_analysis_run_that_and_what_follows(shared_folder, tmp_path):
    second = cloned(shared_folder, tmp_path / "second")
    remote(second, "pull")
    second.set({"svd.energy": 0.8})
    assert {"svd"} <= ran(second.dvc("repro", "--dry")) <= {"svd", "summary", "figures", "report"}
    log = second.dvc("repro", "summary")
    assert ran(log) == {"svd", "summary"} and counts(log) == {"svd": (4, 4, 0)}
    assert not _audio(second)


def test_a_part_is_enough_for_an_experiment_on_that_part(shared_folder, tmp_path):
    """Nothing is encoded, perturbed or analysed again of what was pulled, and what was not pulled is not asked for.

    DVC begins the experiment with a checkout of all outputs, and removes those of which files are missing.
    """
    second = cloned(shared_folder, tmp_path / "second")
    said = remote(second, "pull", *PART)
    assert {path.name for path in second.root.glob("data/embeddings/*")} == {"mfcc"}
    assert {path.parent.name for path in second.root.glob("data/embeddings/*/*/*.h5")} == {"gain"}
    assert {path.name for path in second.root.glob("data/perturbed/*")} == {"gain"}
    assert {path.parent.name for path in second.root.glob("data/distances/*/*.h5")} == {"gain"}
    assert {path.parts[-3:-1] for path in second.root.glob("plots/cca/*/*/*.csv")} == {("mfcc", "gain")}
    (command,) = re.findall("next: (dvc exp run .*?) \\(", said)
    log = second(sys.executable, "-m", *shlex.split(command))
    found = counts(log)
    assert found["maps"] == (1, 1, 0), "a map has all perturbations in it"
    assert found["embed mfcc"] == (0, 5, 5) and found["distances"] == (0, 5, 5)
    assert {"cca", "svd", "trajectories", "robustness", "consistency"} <= set(found)
    assert not {label: each for label, each in found.items() if each[0] and label != "maps"}
    assert not _audio(second) and not list(second.root.glob("data/models/*/*.npz"))
    assert set(second.json("metrics/summary.json")) == {"mfcc"}

    second("git", "checkout", "-q", ".")
    remote(second, "pull")  # and the rest later
    assert not ran(second.dvc("repro", "--dry"))


def test_audio_that_was_kept_is_what_a_colleague_embeds(shared_folder, tmp_path):
    keeper, gain = cloned(shared_folder, tmp_path / "keeper"), ("--perturbations", "gain")
    remote(keeper, "pull", *gain)
    said = remote(keeper, "pull", "--audio", *gain, check=False)
    assert "lacks audio that you asked for: corpus/" in said and "make push AUDIO=1" in said, "nobody pushed it"
    keeper.set({"perturb.keep_audio": True})
    keeper.dvc("repro", "perturb@gain")
    keeper.commit("kept")
    assert "audio: 5 files, 5 of them new there" in remote(keeper, "push", *gain)

    other = cloned(keeper, tmp_path / "other")
    remote(other, "pull", *gain)
    assert not _audio(other), "nobody asked for it"
    remote(other, "pull", "--audio", *gain)
    kept = sorted(path.relative_to(keeper.root) for path in keeper.root.glob("data/audio/gain/*.h5"))
    assert len(kept) == 4 and all((keeper.root / p).read_bytes() == (other.root / p).read_bytes() for p in kept)

    # It is read, not made again: without the corpus' audio there is nothing else to embed from
    shutil.rmtree(other.root / "data/audio/corpus")
    other.set({"run.perturbations": "[gain]"})
    vectors = other.root / "data/embeddings/mfcc/gain/-20.h5"
    content = vectors.read_bytes()
    vectors.unlink()
    shutil.rmtree(other.root / ".earshift")
    assert counts(other(sys.executable, "-m", "stages.embed", "mfcc")) == {"embed mfcc": (1, 5, 4)}
    assert vectors.read_bytes() == content
    assert not (other.root / "data/audio/corpus").exists()


@pytest.fixture
def unset(first, tmp_path):
    """A clone without a remote; nothing may be written to its configuration."""
    clone = cloned(first, tmp_path / "unset")
    (clone.root / ".dvc/config").write_text(clone("git", "show", f"{_root_commit(clone)}:.dvc/config"))
    before = (clone.root / ".dvc/config").read_text()
    assert "shared" not in before
    yield clone
    assert (clone.root / ".dvc/config").read_text() == before
    assert not (clone.root / ".dvc/config.local").exists()


def _root_commit(clone):
    return clone("git", "rev-list", "--max-parents=0", "HEAD").strip()


def _refused(clone, *arguments, place=None):
    """The one line that a refusal says."""
    said = remote(clone, *arguments, place=place, check=False).strip()
    assert said.startswith("earshift: ") and "\n" not in said
    return said


def test_what_an_ssh_server_refuses(unset, ssh, tmp_path):
    home = Path(ssh.environment["HOME"])
    assert "the login is refused" in _refused(unset, "remote", ssh.url, "--keyfile", str(home / "stranger"), place=ssh)
    nobody = ssh.url.replace("127.0.0.1", "nobody.invalid")
    assert "no host of that name is known" in _refused(unset, "remote", nobody, *ssh.here, place=ssh)
    closed = re.sub(r":\d+/", ":1/", ssh.url)
    assert "the connection is refused" in _refused(unset, "remote", closed, *ssh.here, place=ssh)
    for known in ("", f"{(home / '.ssh/known_hosts').read_text().split()[0]} {(home / 'stranger.pub').read_text()}"):
        elsewhere = Place(ssh.url, environment={"HOME": str(tmp_path)})
        (tmp_path / ".ssh").mkdir(exist_ok=True)
        (tmp_path / ".ssh/known_hosts").write_text(known)
        assert "host key is not in ~/.ssh/known_hosts" in _refused(unset, "remote", ssh.url, *ssh.here, place=elsewhere)


def test_what_an_s3_server_refuses(unset, s3):
    assert "no such bucket" in _refused(unset, "remote", "s3://nobody/earshift", *s3.options, place=s3)
    nameless = Place(s3.url, environment={"HOME": s3.environment["HOME"], "AWS_EC2_METADATA_DISABLED": "true"})
    assert "no credentials are found" in _refused(unset, "remote", s3.url, *s3.options, place=nameless)
    assert "no such profile" in _refused(unset, "remote", s3.url, *s3.options, "--profile", "lab", place=s3)
    closed = ["--endpoint", "http://127.0.0.1:1"]
    assert "the connection is refused" in _refused(unset, "remote", s3.url, *closed, place=s3)
    said = _refused(unset, "remote", f"s3://a-key:{SECRET}@team/earshift", *s3.options, place=s3)
    assert "It belongs into the environment" in said and SECRET not in said


def test_without_a_remote(unset):
    for what in ("remote", "push", "pull"):
        assert "`make remote URL=...` sets one" in _refused(unset, what)
