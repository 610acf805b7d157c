"""params.yaml as a file: YAML that is broken, deep, or grows where it is read."""

from pathlib import Path

from earshift.pipeline import config as params

WORDS = (b": ", b"- ", b"\n", b"  ", b"&a ", b"*a", b"<<: *a\n", b"{", b"}", b"[", b"]", b"!!int ", b"!!float ",
         b"!!timestamp ", b"!!binary ", b"!!python/object/apply:os.system ", b"!!set ", b"!!omap ", b"? ", b"|\n",
         b">\n", b"2001-13-45", b"~", b"'", b'"', b"%YAML 1.1\n---\n", b"0x", b"1_0", b"[" * 400, b"\0", b"\xff",
         b"\t")  # fmt: skip


def target(data):
    path = Path("params.yaml")
    path.write_bytes(data)
    content = params.read(path)
    if not any("class" in (each or {}) for each in _options(content.get("encoders"))):  # which names code to import
        params.parse(content)


def _options(encoders):
    return [each for each in encoders.values() if isinstance(each, dict)] if isinstance(encoders, dict) else []
