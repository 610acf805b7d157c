"""Fingerprints change exactly when something that they stand for does."""

import sys

from earshift.storage.provenance import file_sha256, fingerprint, source_sha256, sources, versions


def test_fingerprint_ignores_the_order_of_parts_only():
    assert fingerprint(a=1, b=[2, {"c": None}]) == fingerprint(b=[2, {"c": None}], a=1)
    assert len({fingerprint(a=1), fingerprint(a="1"), fingerprint(a=[1]), fingerprint(b=1), fingerprint()}) == 5


def test_file_hash(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_sha256(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_source_hash_follows_helpers_of_the_same_package(tmp_path, monkeypatch):
    (tmp_path / "pack").mkdir()
    files = {
        "__init__": "",
        "helper": "def f(): return 1",
        "other": "x = 1",
        "user": "from pack.helper import f",
        "late": "def g(): from . import helper",
    }
    for name, text in files.items():
        (tmp_path / "pack" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    import pack.late
    import pack.other
    import pack.user

    before = [source_sha256(module) for module in (pack.user, pack.late)]
    (tmp_path / "pack" / "other.py").write_text("x = 2")
    assert [source_sha256(module) for module in (pack.user, pack.late)] == before
    (tmp_path / "pack" / "helper.py").write_text("def f(): return 2")
    assert source_sha256(pack.user) != before[0] and source_sha256(pack.late) != before[1]
    for name in [n for n in sys.modules if n.startswith("pack")]:
        monkeypatch.delitem(sys.modules, name)


def test_imports_are_followed_from_room_to_room_and_inside_of_functions():
    from earshift.encoders import mfcc, panns

    assert {"earshift.encoders.mfcc", "earshift.encoders.base", "earshift.audio.mel"} <= set(sources(mfcc.Mfcc))
    assert "earshift.encoders.kernels.winograd_numba" in sources(panns)
    assert not [name for name in sources(panns) if name.startswith("earshift.pipeline")]


def test_versions_leave_build_tags_out(monkeypatch):
    import importlib.metadata

    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.1.0+cpu")
    assert versions("torch", "numpy") == {"numpy": "2.1.0", "torch": "2.1.0"}
