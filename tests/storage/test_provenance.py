"""Fingerprints change exactly when something that they stand for does."""

from earshift.storage.provenance import file_sha256, fingerprint, versions


def test_fingerprint_ignores_the_order_of_parts_only():
    assert fingerprint(a=1, b=[2, {"c": None}]) == fingerprint(b=[2, {"c": None}], a=1)
    assert len({fingerprint(a=1), fingerprint(a="1"), fingerprint(a=[1]), fingerprint(b=1), fingerprint()}) == 5


def test_file_hash(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_sha256(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_versions_leave_build_tags_out(monkeypatch):
    import importlib.metadata

    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.1.0+cpu")
    assert versions("torch", "numpy") == {"numpy": "2.1.0", "torch": "2.1.0"}
