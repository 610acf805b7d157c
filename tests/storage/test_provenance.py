"""Fingerprints change exactly when something that they stand for does."""

import sys

from earshift.storage.provenance import file_sha256, fingerprint, source_sha256, versions


def test_fingerprint_ignores_the_order_of_parts_only():
    assert fingerprint(a=1, b=[2, {"c": None}]) == fingerprint(b=[2, {"c": None}], a=1)
    assert len({fingerprint(a=1), fingerprint(a="1"), fingerprint(a=[1]), fingerprint(b=1), fingerprint()}) == 5


def test_file_hash(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_sha256(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_source_hash_follows_helpers_of_the_same_package(tmp_path, monkeypatch):
    (tmp_path / "pack").mkdir()
    sources = {"__init__": "", "helper": "def f(): return 1", "other": "x = 1", "user": "from pack.helper import f"}
    for name, text in sources.items():
        (tmp_path / "pack" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    import pack.other
    import pack.user

    before = source_sha256(pack.user)
    (tmp_path / "pack" / "other.py").write_text("x = 2")
    assert source_sha256(pack.user) == before
    (tmp_path / "pack" / "helper.py").write_text("def f(): return 2")
    assert source_sha256(pack.user) != before
    for name in [n for n in sys.modules if n.startswith("pack")]:
        monkeypatch.delitem(sys.modules, name)


def test_versions_leave_build_tags_out(monkeypatch):
    import importlib.metadata

    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.1.0+cpu")
    assert versions("torch", "numpy") == {"numpy": "2.1.0", "torch": "2.1.0"}
