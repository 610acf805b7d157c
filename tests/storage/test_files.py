"""Files are whole or absent, and what stands in the way of writing is one message."""

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshift.errors import UserError
from earshift.storage.files import read_json, replacing, require_space, round_floats, write_if_changed, write_json


@pytest.mark.parametrize(
    "number, words",
    [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "quota"), (errno.EROFS, "read-only"), (errno.EACCES, "permission")],
)
@pytest.mark.parametrize("as_hdf5", [True, False])
def test_write_failures_are_explained(tmp_path, number, words, as_hdf5):
    message = f"Can't write data (file write failed: errno = {number}, error message = 'x')"
    error = OSError(message) if as_hdf5 else OSError(number, os.strerror(number))
    with (
        pytest.raises(UserError, match=f"cannot write .*a.h5: .*{words}.*finished files stay"),
        replacing(tmp_path / "a.h5"),
    ):
        raise error
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX resource limits")
@pytest.mark.parametrize("kind", ["audio", "embeddings", "json"])
def test_a_file_that_cannot_grow_is_one_message(tmp_path, kind):
    """The kernel really refuses the bytes: a process with a file size limit writes more than that."""
    body = {
        "audio": "with AudioWriter('out') as w: w.append(np.ones((2, 400000), np.float32), 8000)",
        "embeddings": "write_embeddings('out', Embeddings(np.ones((500, 900)), ['a'] * 500, np.ones(500)))",
        "json": "write_json('out', list(range(200000)))",
    }[kind]
    script = f"""
        import resource, signal, numpy as np
        from earshift.pipeline.command import command
        from earshift.storage.files import write_json
        from earshift.storage.packed_audio import AudioWriter
        from earshift.storage.vectors import Embeddings, write_embeddings
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        @command
        def main():
            {body}
        main()
    """
    root = str(Path(__file__).parents[2])
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, capture_output=True, text=True,
                         env={**os.environ, "PYTHONPATH": root}, timeout=600)  # fmt: skip
    assert run.returncode == 1, run.stderr
    assert run.stderr.startswith("earshift: cannot write out: the file would exceed") and run.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_space_is_asked_for_before(tmp_path):
    require_space(tmp_path / "not" / "yet", 1)
    with pytest.raises(UserError, match="GiB left; free some space"):
        require_space(tmp_path, 1 << 60)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_rounding_keeps_six_digits_and_drops_what_json_lacks(value):
    found = round_floats({"a": [np.float64(value)]})["a"][0]
    if not np.isfinite(value):
        assert found is None
    else:
        assert found == float(f"{value:.6g}")


def test_json_is_whole_or_absent(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1 / 3, "n": np.int64(3), "t": [True, None, "é"]})
    assert read_json(tmp_path / "a.json") == {"x": 0.333333, "n": 3, "t": [True, None, "é"]}
    assert read_json(tmp_path / "none.json") is None


@pytest.mark.parametrize("content", [{"a": [1, 1 / 3, None]}, [], "text"])
def test_a_file_that_holds_this_already_is_left_alone(tmp_path, content):
    path = tmp_path / "sub" / "x.json"
    write_if_changed(path, content)
    os.utime(path, (1, 1))
    write_if_changed(path, content)
    assert path.stat().st_mtime == 1 and read_json(path) == round_floats(content)
    write_if_changed(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    path.write_text("{damaged")
    write_if_changed(path, content)
    assert read_json(path) == round_floats(content)
