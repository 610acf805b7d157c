"""Which addresses are accepted, and that nothing secret ever is or is shown."""

import pytest

from earshift.errors import UserError
from earshift.pipeline.sharing import address

KEY = "AKIAIOSFODNN7EXAMPLE"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("ssh://host/srv/earshift", "ssh://host/srv/earshift"),
        ("ssh://ada@host:2222/srv/earshift/", "ssh://ada@host:2222/srv/earshift"),
        ("SSH://host/srv", "ssh://host/srv"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/team/earshift", "s3://bucket/team/earshift"),
        ("https://host/earshift", "https://host/earshift"),
    ],
)
def test_addresses_that_are_accepted(given, taken):
    assert address.normal(given) == taken


def test_a_folder_is_taken_with_its_absolute_path(tmp_path, workspace, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    assert address.normal(str(tmp_path.parent / "store")) == str(tmp_path.parent / "store")
    assert address.normal("~/store") == str(tmp_path.parent / "store")
    assert address.normal(f"file://{tmp_path.parent}/store") == str(tmp_path.parent / "store")


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("store", "write an absolute path"),
        ("../store", "write an absolute path"),
        ("{here}/data/store", "lies within this repository"),
        ("{here}/../nowhere/store", "is it mounted?"),
        ("{here}/../file", "is no folder"),
        ("ada@host:/srv/earshift", "ssh://user@host/path"),
        ("gs://bucket/earshift", "dvc remote add --default shared gs://bucket/earshift"),
        ("ssh://host", "names no folder on the server"),
        ("s3:///prefix", "names no server or bucket"),
        ("ssh://host:port/srv", "is wrong"),
        ("/srv/a,b", "',', which DVC's configuration cannot hold"),
        ("/srv/a#b", "'#', which DVC's configuration cannot hold"),
        (" /srv/a", "spaces around it"),
        ("/srv/a\n[core]", "which DVC's configuration cannot hold"),
    ],
)
def test_addresses_that_are_not(workspace, tmp_path, given, printed):
    here = tmp_path / "repository"
    here.mkdir()
    (tmp_path / "file").touch()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UserError) as caught:
        patch.chdir(here)
        address.normal(given.format(here=here))
    assert printed in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "ssh://ada:hush@host/srv",
        "ada:hush@host:/srv",
        "s3://hush@bucket/team",
        "s3://hush:hush@bucket/team",
        "https://ada:hush@host/earshift",
        "https://host/earshift?token=hush",
        f"s3://bucket/{KEY}",
    ],
)
def test_secrets_are_refused_and_not_shown(url):
    with pytest.raises(UserError) as caught:
        address.normal(url)
    assert "It belongs into" in str(caught.value)
    assert "hush" not in str(caught.value) and KEY not in str(caught.value)


def test_options(tmp_path):
    assert address.endpoint("http://host:9000/") == "http://host:9000"
    assert address.profile("lab") == "lab"
    key = tmp_path / "key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nhush\n")
    assert address.keyfile(str(key)) == str(key)


@pytest.mark.parametrize(
    ("check", "value", "printed"),
    [
        (address.endpoint, "host:9000", "it must be http://host"),
        (address.endpoint, "http://ada:hush@host", "It belongs into"),
        (address.profile, KEY, "the name of a profile"),
        (address.keyfile, "-----BEGIN OPENSSH PRIVATE KEY-----\nhush", "must be a path"),
        (address.keyfile, "/nowhere/hush", "must be a path"),
        (address.keyfile, __file__, "is no private key"),
    ],
)
def test_options_that_are_refused(check, value, printed):
    with pytest.raises(UserError) as caught:
        check(value)
    assert printed in str(caught.value) and "hush" not in str(caught.value) and KEY not in str(caught.value)


def test_secrets_in_the_committed_configuration_are_refused():
    with pytest.raises(UserError, match="dvc remote modify --local shared password") as caught:
        address.refuse_secrets_in({"shared": {"url": "ssh://host/srv", "password": "hush"}}, file=".dvc/config")
    assert "hush" not in str(caught.value)
    with pytest.raises(UserError, match="It belongs into"):
        address.refuse_secrets_in({"other": {"url": "ssh://ada:hush@host/srv"}}, file=".dvc/config")
    address.refuse_secrets_in({"shared": {"url": "ssh://ada@host/srv"}, "core": {}}, file=".dvc/config")
