"""What `make remote` writes, and that it writes nothing where anything is wrong."""

import sys

import pytest

from earshift.errors import UserError
from earshift.pipeline.sharing import configuration
from earshift.pipeline.sharing.reach import Shared

CONFIG = """[core]
    analytics = false
[cache]
    # a comment that stays
    type = reflink,copy
"""


@pytest.fixture
def here(workspace, monkeypatch):
    """A working folder below which a repository's configuration lies; `remote` is beside it."""
    root = workspace / "repository"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config").write_text(CONFIG)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def anywhere(monkeypatch):
    """Every remote can be written."""
    monkeypatch.setattr(Shared, "check", lambda self: "")


def written(here):
    return tuple(
        (here / ".dvc" / name).read_text() for name in ("config", "config.local") if (here / ".dvc" / name).exists()
    )


def test_a_folder_becomes_the_default_remote(here, workspace, capsys):
    configuration.set_remote(str(workspace / "store"))
    assert written(here) == (
        CONFIG.replace("false\n", "false\n    remote = shared\n")
        + f'[remote "shared"]\n    url = {workspace}/store\n    verify = true\n',
    )
    assert configuration.shared().url == str(workspace / "store")
    assert "written, read back and compared" in capsys.readouterr().out
    assert list((workspace / "store").iterdir()) == [], "what it was tried with is gone"


def test_what_holds_on_one_machine_is_not_committed(here, tmp_path, anywhere):
    key = tmp_path / "key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    configuration.set_remote("ssh://host/srv", keyfile=str(key))
    committed, local = written(here)
    assert "keyfile" not in committed and local == f'[remote "shared"]\n    keyfile = {key}\n'
    assert configuration.shared().files.fs_args["client_keys"] == [str(key)]

    configuration.set_remote("ssh://other/srv")
    assert written(here)[1] == local, "the key is that of this machine, whatever the server"

    configuration.set_remote("s3://bucket/team", endpoint="http://host:9000", profile="lab")
    committed, local = written(here)
    assert "endpointurl = http://host:9000" in committed and "lab" not in committed
    assert local == '[remote "shared"]\n    profile = lab\n', "DVC refuses options of another kind of remote"

    configuration.set_remote("s3://other")
    assert "endpointurl" not in written(here)[0], "a new address comes with nothing of the old one"


def test_an_option_alone_keeps_the_address(here, tmp_path, anywhere):
    configuration.set_remote("s3://bucket/team", endpoint="http://host:9000")
    committed = written(here)[0]
    configuration.set_remote(profile="lab")
    assert written(here) == (committed, '[remote "shared"]\n    profile = lab\n')


@pytest.mark.parametrize(
    ("url", "options", "printed"),
    [
        (None, {}, "no shared remote is set"),
        ("ssh://host/srv", {"profile": "lab"}, "PROFILE is for s3:// remotes"),
        ("s3://bucket", {"keyfile": "key"}, "KEYFILE is for ssh:// remotes"),
        ("{}/store", {"endpoint": "http://host"}, "ENDPOINT is for s3:// remotes"),
        ("ssh://ada:hush@host/srv", {}, "holds a password"),
        ("{}/file/store", {}, "is it mounted?"),
    ],
)
def test_nothing_is_written_where_anything_is_wrong(here, workspace, url, options, printed):
    (workspace / "file").touch()
    with pytest.raises(UserError) as caught:
        configuration.set_remote(url and url.format(workspace), **options)
    assert printed in str(caught.value)
    assert written(here) == (CONFIG,)


def test_nothing_is_written_where_the_remote_does_not_answer(here, workspace, monkeypatch):
    def lose(self, path, content):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("dvc_objects.fs.local.LocalFileSystem.pipe_file", lose, raising=False)
    with pytest.raises(UserError, match=r"store: no permission; change the owner"):
        configuration.set_remote(str(workspace / "store"))
    assert written(here) == (CONFIG,)


def test_what_is_read_back_is_compared(here, workspace, monkeypatch):
    monkeypatch.setattr("dvc_objects.fs.local.LocalFileSystem.cat_file", lambda self, path: b"else", raising=False)
    with pytest.raises(UserError, match="read back as something else"):
        configuration.set_remote(str(workspace / "store"))
    assert written(here) == (CONFIG,)


def test_a_place_where_nothing_can_be_deleted_will_do(here, workspace, monkeypatch, capsys):
    def keep(self, path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("dvc_objects.fs.local.LocalFileSystem.rm_file", keep, raising=False)
    configuration.set_remote(str(workspace / "store"))
    assert "objects cannot be deleted there" in capsys.readouterr().out
    assert "remote = shared" in written(here)[0]


def test_a_client_that_is_not_installed(here, monkeypatch):
    for module in ("sshfs", "dvc_ssh", "dvc_s3"):
        monkeypatch.setitem(sys.modules, module, None)
    for url in ("ssh://host/srv", "s3://bucket"):
        with pytest.raises(UserError, match="remotes.lock"):
            configuration.set_remote(url)
    assert written(here) == (CONFIG,)


def test_a_secret_that_was_committed_stops_everything(here):
    (here / ".dvc/config").write_text(CONFIG + "['remote \"shared\"']\n    url = ssh://host/srv\n    password = hush\n")
    for attempt in (configuration.shared, lambda: configuration.set_remote("ssh://host/srv")):
        with pytest.raises(UserError, match="--unset shared password") as caught:
            attempt()
        assert "hush" not in str(caught.value)


def test_a_remote_that_was_set_by_hand_is_used(here, workspace):
    (here / ".dvc/config").write_text(f"[core]\n    remote = mine\n['remote \"mine\"']\n    url = {workspace}/mine\n")
    assert (configuration.shared().name, configuration.shared().url) == ("mine", f"{workspace}/mine")


def test_show(here, workspace, capsys, monkeypatch):
    configuration.set_remote(str(workspace / "store"))
    capsys.readouterr()
    configuration.show_remote()
    assert "nothing is there yet" in capsys.readouterr().out
    (workspace / "store/files").mkdir()

    def refuse(self):
        raise UserError("no permission")

    monkeypatch.setattr(Shared, "check_writing", refuse)
    configuration.show_remote()
    assert "cannot be written: no permission\n`make pull` works, `make push` does not" in capsys.readouterr().out
