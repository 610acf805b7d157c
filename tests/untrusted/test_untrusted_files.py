"""Every reader of other people's files reads an input or refuses it in one message, whatever is wrong with it.

``make fuzz`` spends an hour on new inputs; here the kept ones run, and a few changed ones, always the same.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TARGETS = sorted(path.stem for path in (HERE / "targets").glob("[!_]*.py"))
SECONDS = float(os.environ.get("EARSHIFT_FUZZ_SECONDS", 0))  # for all targets together
WRONG = {
    "raises": ("def target(data):\n    raise KeyError(data)\n", "KeyError-"),
    "dies": ("import ctypes\ndef target(data):\n    ctypes.string_at(0)\n", None),
    "loops": (
        "from untrusted import guard\nguard.SECONDS = 0.2\ndef target(data):\n    while True: pass\n",
        "TooSlow-",
    ),
    "takes": ("def target(data):\n    bytearray(1 << 40)\n", "MemoryError-"),
    "writes": ("def target(data):\n    open('../elsewhere', 'w').close()\n", "Forbidden-open"),
    "starts": (
        """
        import subprocess
        def target(data):
            try:
                subprocess.run(["true"])
            except BaseException:
                pass
        """,
        "Forbidden-subprocess_Popen",
    ),
}


def run(target, *options, folder=HERE):
    return subprocess.run([sys.executable, str(folder / "run_inputs.py"), target, *options], capture_output=True,
                          text=True, errors="replace", env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.timeout(0 if SECONDS else 600)
def test_inputs_are_read_or_refused(target):
    wanted = ["--seconds", str(SECONDS / len(TARGETS))] if SECONDS else ["--examples", "60"]
    found = run(target, *wanted)
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr[-5_000:]


@pytest.mark.parametrize("name", WRONG)
def test_what_a_reader_must_not_do_is_found(tmp_path, name):
    source, key = WRONG[name]
    folder = tmp_path / "tests" / "untrusted"
    (folder / "targets").mkdir(parents=True)
    (folder / "inputs" / name).mkdir(parents=True)
    (folder / "inputs" / name / "whole").write_bytes(b"x")
    for file in ("run_inputs.py", "guard.py", "pieces.py", "mutation.py"):
        (folder / file).write_bytes((HERE / file).read_bytes())
    (folder / "targets" / f"{name}.py").write_text(textwrap.dedent(source))
    (tmp_path / "earshift").symlink_to(HERE.parents[1] / "earshift")
    found = run(name, "--examples", "1", folder=folder)
    assert found.returncode != 0
    assert key is None or f"inputs/{name}/whole: {key}" in found.stdout
