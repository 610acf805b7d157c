"""Only tensors come out of a checkpoint, whatever else it holds, in both of PyTorch's formats."""

import collections
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch

from earshift.encoders.weights.torch_checkpoint import check_tensors, read_state_dict
from earshift.errors import UserError

STATE = {
    "conv.weight": torch.arange(24, dtype=torch.float32).reshape(2, 3, 4),
    "conv.half": torch.tensor([1.5, -2.0], dtype=torch.float16),
    "bn.num_batches_tracked": torch.tensor(7),
    "index": torch.tensor([[3, 1]]),
}
FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before the zip"])


def write(path, content, zipped=True):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@FORMATS
def test_what_was_saved_is_read(tmp_path, zipped):
    found = read_state_dict(write(tmp_path / "a.pth", {"model": collections.OrderedDict(STATE)}, zipped))
    assert list(found) == list(STATE)
    for name, tensor in STATE.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)


@FORMATS
def test_what_training_leaves_beside_the_weights_is_read_over(tmp_path, zipped):
    content = {
        "iteration": 660000,
        "sampler": {"indexes": np.arange(5), "names": np.array(["a", "b"]), "objects": np.array([{}], dtype=object)},
        "mAP": np.float64(0.431),
        "dtype": np.dtype("float32"),
        "model": STATE,
    }
    found = read_state_dict(write(tmp_path / "a.pth", content, zipped))
    assert torch.equal(found["conv.weight"], STATE["conv.weight"])


def test_the_names_of_older_numpy_are_read_over(tmp_path):
    path = write(tmp_path / "a.pth", {"model": STATE, "array": np.arange(3), "score": np.float64(1)}, zipped=False)
    content, allowed = path.read_bytes(), torch.serialization.get_safe_globals()
    assert b"numpy._core.multiarray" in content
    path.write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert set(read_state_dict(path)) == set(STATE)
    assert set(torch.serialization.get_safe_globals()) == set(allowed)  # nothing of this stays allowed


class Calls:
    """Pickled as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@FORMATS
@pytest.mark.parametrize("where", ["beside", "in the place of a tensor", "in the place of everything"])
@pytest.mark.parametrize("kind", ["os.system", "eval", "pathlib", "numpy"])
def test_a_checkpoint_that_would_run_something_is_refused_and_does_not(tmp_path, zipped, where, kind):
    import os
    from pathlib import Path

    made = tmp_path / "made"
    call = {
        "os.system": Calls(os.system, f"touch {made}"),
        "eval": Calls(eval, f"open({str(made)!r}, 'w').close()"),
        "pathlib": Calls(Path.touch, Path(made)),
        "numpy": Calls(np.save, str(made), 3),
    }[kind]
    content = {
        "beside": {"model": STATE, "more": call},
        "in the place of a tensor": {"model": {**STATE, "conv.weight": call}},
        "in the place of everything": call,
    }[where]
    path = write(tmp_path / "a.pth", content, zipped)
    with pytest.raises(UserError, match="would run more than it takes to read tensors") as caught:
        read_state_dict(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == ["a.pth"]


def test_the_malice_of_these_tests_is_real(tmp_path):
    import os

    path = write(tmp_path / "a.pth", Calls(os.system, f"touch {tmp_path / 'made'}"))
    torch.load(path, weights_only=False)
    assert (tmp_path / "made").exists()


@FORMATS
@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.7, 0.99])
def test_a_file_that_was_cut_off_is_refused(tmp_path, zipped, share):
    path = write(tmp_path / "a.pth", {"model": {"weight": torch.randn(3000)}}, zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"a\.pth is not a whole PyTorch checkpoint.*fetch it again") as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value)


def tar(path):
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"))


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html><title>404</title>",
        b"PK\x03\x04 but no zip",
        b"\x80\x02}q\x00.",
        pickle.dumps({"model": [1, 2]}),
        tar,
        lambda path: zipfile.ZipFile(path, "w").writestr("other.txt", "x"),
        lambda path: path.mkdir(),
        lambda path: None,
    ],
    ids=["html", "no zip", "bare pickle", "pickled list", "tar", "other zip", "folder", "nothing"],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "a.pth"
    path.write_bytes(content) if isinstance(content, bytes) else content(path)
    with pytest.raises(
        UserError, match=r"a\.pth (is not a whole PyTorch checkpoint|cannot be read|would run)"
    ) as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value)


def test_a_zip_bomb_is_not_opened(tmp_path, monkeypatch):
    write(tmp_path / "a.pth", {"model": STATE})
    with zipfile.ZipFile(tmp_path / "a.pth") as archive, zipfile.ZipFile(tmp_path / "b.pth", "w") as bomb:
        for member in archive.infolist():
            content = archive.read(member) if not member.filename.endswith("data/0") else bytes(50_000_000)
            bomb.writestr(member.filename, content, zipfile.ZIP_DEFLATED)
    assert (tmp_path / "b.pth").stat().st_size < 100_000
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(UserError, match=r"b\.pth is a compressed zip .*it was not opened"):
        read_state_dict(tmp_path / "b.pth")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"state_dict": STATE, "epoch": 3}, "has no state dict under 'model', only state_dict, epoch"),
        ({}, "has no state dict under 'model', only nothing"),
        ({"model": {}}, "has no state dict under 'model', only model"),
        (STATE["index"], "has no state dict under 'model', only Tensor"),
        ([STATE], "has no state dict under 'model', only list"),
        ({"model": {**STATE, "lr": 0.1}}, "holds more than tensors under 'model': lr"),
        ({"model": {**STATE, 3: STATE["index"]}}, "holds more than tensors under 'model': 3"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path, content, reason):
    with pytest.raises(UserError, match=reason):
        read_state_dict(write(tmp_path / "a.pth", content))


# --------------------------------------------------------------------------------------------------- names and shapes


def changed(**changes):
    state = {**STATE, **changes}
    return {name: tensor for name, tensor in state.items() if tensor is not None}


def test_tensors_come_in_the_order_of_the_network_and_in_float32(tmp_path):
    found = check_tensors(dict(reversed(STATE.items())), STATE, tmp_path / "a.pth", network="Toy")
    assert list(found) == ["conv.weight", "conv.half", "index"]  # counters of batches are of no use
    assert [tensor.dtype for tensor in found.values()] == [torch.float32, torch.float32, torch.int64]


def test_older_files_lack_the_counters_of_batches(tmp_path):
    assert check_tensors(changed(**{"bn.num_batches_tracked": None}), STATE, tmp_path / "a.pth", network="Toy")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (changed(index=None), r"1 missing \(index\)"),
        (changed(**{"conv.weight": None, "extra": STATE["index"]}), r"1 missing \(conv.weight\), 1 unexpected"),
        ({f"layer{n}": STATE["index"] for n in range(9)}, r"9 unexpected \(layer0, layer1, layer2, \.\.\.\)"),
        (changed(index=torch.tensor([3, 1])), r"1 tensors differ \(index int64 \(2,\), expected int64 \(1, 2\)\)"),
        (changed(index=torch.tensor([[3.0, 1]])), r"index float32 \(1, 2\), expected int64 \(1, 2\)"),
        (changed(**{"conv.weight": torch.zeros(1).expand(10**9, 3, 4)}), r"conv.weight float32 \(1000000000, 3, 4\)"),
    ],
)  # fmt: skip
def test_another_architecture_is_refused(tmp_path, state, reason):
    with pytest.raises(UserError, match=reason) as caught:
        check_tensors(state, STATE, tmp_path / "a.pth", network="Toy")
    assert str(caught.value).startswith(f"{tmp_path / 'a.pth'} is not a checkpoint of Toy: ")
