"""Weights of an encoder: from the official file, a mirror or a file of the user's own; kept in one plain format."""

import hashlib
import json

import numpy as np
import pytest

from earshift.encoders.weights.official import Official
from earshift.encoders.weights.record import ensure_weights, open_weights, write_weights
from earshift.errors import UserError
from earshift.pipeline import config, paths
from earshift.pipeline import weights as stage
from earshift.storage import downloads

CONTENT = np.arange(6, dtype=np.float32).tobytes()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def convert(path):
    content = np.frombuffer(path.read_bytes(), np.float32)
    return {"b/c": content[:4].reshape(2, 2), "a": content[4:]}


@pytest.fixture
def mirror(workspace, monkeypatch):
    """A mirror that holds the official file."""
    folder = workspace / "mirror"
    folder.mkdir()
    (folder / "toy.bin").write_bytes(CONTENT)
    monkeypatch.setenv(downloads.MIRROR, str(folder))
    monkeypatch.delenv(downloads.UNPINNED, raising=False)
    return folder


@pytest.fixture
def toy(mirror):
    """Makes weights that are published in one file."""

    def make(file="toy.bin", **changes):
        about = {
            "remote": downloads.Remote(file, ("http://127.0.0.1:9/toy.bin",), (("sha256", sha256(CONTENT)),)),
            "folder": paths.DOWNLOADS,
            "licence": "none",
            "description": "this test",
            "convert": convert,
            "option": "encoders.toy.weights.path",
        }
        return Official(**(about | changes))

    return make


def test_without_the_file_one_message_says_where_it_can_be_had(toy, mirror):
    (mirror / "toy.bin").unlink()
    with pytest.raises(UserError) as caught:
        write_weights(mirror / "out", "toy", toy())
    for part in ("toy.bin", "http://127.0.0.1:9/toy.bin", "data/downloads", downloads.MIRROR, sha256(CONTENT),
                 "encoders.toy.weights.path"):  # fmt: skip
        assert part in str(caught.value)


def test_a_wrong_hash_is_refused_before_the_file_is_opened(toy, mirror):
    (mirror / "toy.bin").write_bytes(b"another")
    with pytest.raises(UserError, match=sha256(CONTENT)):
        write_weights(mirror / "out", "toy", toy(convert=lambda path: pytest.fail("opened")))
    assert not (mirror / "out").exists()


def test_a_file_of_ones_own_is_used_as_it_is(toy, mirror, tmp_path):
    own = tmp_path / "fine-tuned.bin"
    own.write_bytes(np.float32([1, 2, 3, 4, 5, 6]).tobytes())
    write_weights(tmp_path / "out", "toy", toy(own=str(own)))
    np.testing.assert_array_equal(open_weights(tmp_path / "out")["a"], [5, 6])
    record = json.loads((tmp_path / "out/weights.json").read_text())
    assert record["official"] is False and record["files"] == {"fine-tuned.bin": sha256(own.read_bytes())}


def test_a_file_of_ones_own_that_is_not_there_is_named(toy):
    with pytest.raises(UserError, match="encoders.toy.weights.path is 'nowhere.bin'.*null for toy.bin"):
        toy(own="nowhere.bin").check()


def test_what_stands_in_for_the_official_file_is_noticed(toy, mirror, monkeypatch):
    assert toy().stand_in() is None
    assert toy(own=str(mirror / "toy.bin")).stand_in() == sha256(CONTENT)
    (mirror / "toy.bin").write_bytes(b"another")
    monkeypatch.setenv(downloads.UNPINNED, "1")
    assert toy().stand_in() == sha256(b"another")
    (mirror / "toy.bin").write_bytes(CONTENT)
    assert toy().stand_in() is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_numbers_are_refused(toy, mirror, tmp_path, bad):
    own = tmp_path / "own.bin"
    own.write_bytes(np.float32([1, 2, 3, bad, 5, 6]).tobytes())
    with pytest.raises(UserError, match=r"own.bin.*1 of 2 arrays hold NaN or infinity \(b/c\)"):
        write_weights(tmp_path / "out", "toy", toy(own=str(own)))
    assert not (tmp_path / "out").exists()


def test_all_that_is_missing_is_said_at_once(toy, mirror, capsys):
    class Configured:
        def __init__(self, published):
            self.published = published

        def weights_source(self, **_):
            return self.published

    there, gone = toy(), toy(file="gone.bin")
    encoders = {"one": there, "two": gone, "three": None, "four": gone}
    with pytest.raises(UserError) as caught:
        stage.fetch_all({name: Configured(published) for name, published in encoders.items()})
    assert str(caught.value).count("gone.bin cannot be fetched") == 2
    assert capsys.readouterr().out.splitlines() == [f"one: {mirror / 'toy.bin'}", "three: no weights"]


def test_what_is_written_is_read_back(toy, tmp_path):
    folder = tmp_path / "toy"
    write_weights(folder, "toy", toy())
    arrays = open_weights(folder)
    assert list(arrays) == ["a", "b/c"]
    np.testing.assert_array_equal(arrays["a"], [4, 5])
    np.testing.assert_array_equal(arrays["b/c"], [[0, 1], [2, 3]])
    record = json.loads((folder / "weights.json").read_text())
    assert record == {
        "encoder": "toy",
        "weights": {"file": "weights.npz", "sha256": sha256((folder / "weights.npz").read_bytes())},
        "licence": "none",
        "weights_source": "this test",
        "official": True,
        "files": {"toy.bin": sha256(CONTENT)},
    }


def test_equal_weights_give_equal_bytes(toy, tmp_path, monkeypatch):
    write_weights(tmp_path / "one", "toy", toy())
    monkeypatch.setattr("time.time", lambda: 2e9)
    write_weights(tmp_path / "two", "toy", toy())
    for name in ("weights.npz", "weights.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_changed_arrays_are_refused(toy, tmp_path):
    folder = tmp_path / "toy"
    write_weights(folder, "toy", toy())
    content = bytearray((folder / "weights.npz").read_bytes())
    expected = sha256(content)
    content[len(content) // 2] ^= 1
    (folder / "weights.npz").write_bytes(content)
    with pytest.raises(UserError) as caught:
        open_weights(folder)
    for part in ("weights.npz", sha256(content), expected, "python -m stages.models toy"):
        assert part in str(caught.value)


def test_arrays_are_made_again_where_only_the_record_was_pulled(toy, tmp_path):
    folder = tmp_path / "toy"
    write_weights(folder, "toy", toy())
    arrays = folder / "weights.npz"
    whole = arrays.read_bytes()
    arrays.unlink()
    ensure_weights(folder, "toy", toy())
    assert arrays.read_bytes() == whole
    arrays.write_bytes(b"of an experiment with other weights")
    ensure_weights(folder, "toy", toy())
    assert arrays.read_bytes() == whole
    stamp = arrays.stat().st_mtime_ns
    ensure_weights(folder, "toy", toy())
    assert arrays.stat().st_mtime_ns == stamp


def test_other_weights_than_those_of_the_record_are_refused(toy, tmp_path):
    write_weights(tmp_path / "toy", "toy", toy())
    (tmp_path / "toy/weights.npz").unlink()
    own = tmp_path / "own.bin"
    own.write_bytes(np.ones(6, np.float32).tobytes())
    with pytest.raises(UserError, match="on this machine have sha256 .* asks for .*dvc repro models@toy"):
        ensure_weights(tmp_path / "toy", "toy", toy(own=str(own)))
    assert not (tmp_path / "toy/weights.npz").exists()


def test_nothing_is_made_for_an_encoder_without_weights(tmp_path):
    write_weights(tmp_path / "plain", "plain", None)
    ensure_weights(tmp_path / "plain", "plain", None)
    assert [path.name for path in (tmp_path / "plain").iterdir()] == ["weights.json"]


@pytest.mark.parametrize("name", ["weights.npz", "weights.json"])
def test_missing_files_are_named(toy, tmp_path, name):
    folder = tmp_path / "toy"
    write_weights(folder, "toy", toy())
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing.*python -m stages.models toy"):
        open_weights(folder)


def test_an_encoder_without_weights_gets_a_record_that_says_so(tmp_path):
    write_weights(tmp_path / "plain", "plain", None)
    assert [path.name for path in (tmp_path / "plain").iterdir()] == ["weights.json"]
    assert json.loads((tmp_path / "plain/weights.json").read_text()) == {"encoder": "plain", "weights": None}
    assert open_weights(tmp_path / "plain") == {}


def test_the_stage_writes_the_weights_of_a_configured_encoder(workspace):
    stage.convert(config.load(), "yamnet")
    arrays = open_weights(paths.weights("yamnet"))
    widths = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]  # MobileNet v1
    expected = 9 * 32 + 32 + sum(9 * a + a + a * b + b for a, b in zip(widths, widths[1:], strict=False))
    assert len(arrays) == 2 * 27 and sum(array.size for array in arrays.values()) == expected


def test_the_stage_names_the_encoders_there_are(workspace):
    with pytest.raises(UserError, match="no encoder 'musicn' in params.yaml; there are mfcc, .*musicnn, yamnet"):
        stage.convert(config.load(), "musicn")
