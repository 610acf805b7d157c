"""What fuzzing kept stays right, and the driver finds, keeps and survives what goes wrong."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from fuzz import campaign
from fuzz.mutation import LARGEST, mutated

REPOSITORY = Path(__file__).parents[1]
TOYS = {
    "raises": "def target(data):\n    if b'!' in data:\n        raise KeyError(data)\n",
    "dies": "import ctypes\ndef target(data):\n    ctypes.string_at(0)\n",
    "loops": "from fuzz import guard\nguard.SECONDS = 0.2\ndef target(data):\n    while True:\n        pass\n",
    "takes": "def target(data):\n    bytearray(1 << 40)\n",
    "starts": """
        import subprocess
        def target(data):
            try:
                subprocess.run(["true"])
            except BaseException:
                pass
    """,
    "writes": "def target(data):\n    open('../elsewhere', 'w').close()\n",
    "refuses": "from earshift.errors import UserError\ndef target(data):\n    raise UserError('it is broken')\n",
    "finds": """
        def target(data):
            from earshift.audio.reading import wav_header
            import io
            try:
                wav_header(io.BytesIO(data), len(data))
            except ValueError:
                pass
    """,
}
EXPECTED = {
    "raises": "KeyError-", "dies": "Process-SIGSEGV", "loops": "TooSlow-", "takes": "MemoryError-",
    "starts": "Forbidden-subprocess_Popen", "writes": "Forbidden-open", "refuses": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """A package of targets that do wrong on purpose, and a folder in which an input for each is kept."""
    folder = tmp_path_factory.mktemp("toys")
    (folder / "toy_targets").mkdir()
    (folder / "toy_targets" / "__init__.py").touch()
    for name, source in TOYS.items():
        (folder / "toy_targets" / f"{name}.py").write_text(textwrap.dedent(source))
        kept = folder / "home" / "corpus" / name
        kept.mkdir(parents=True)
        (kept / "whole-0").write_bytes(b"a!bcd")
    sys.path.insert(0, str(folder))
    yield folder / "home"
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def results(toys):
    return campaign.run([*EXPECTED], 0, seed=0, jobs=2, home=toys, targets="toy_targets", say=lambda line: None)


@pytest.mark.parametrize("name", EXPECTED)
def test_what_a_target_must_not_do_is_a_finding(results, name):
    found = results[name].findings
    if EXPECTED[name] is None:
        assert not found and results[name].executions == 1
    else:
        ((key, (_, data)),) = found.items()
        assert key.startswith(EXPECTED[name]) and data == b"a!bcd"


def test_findings_are_kept_once_and_new_lines_join_the_corpus(toys):
    said = []
    campaign.run(
        ["raises", "finds"], 1, seed=1, jobs=2, home=toys, targets="toy_targets", guided=False, say=said.append
    )
    (crash,) = (toys / "crashes" / "raises").iterdir()
    assert b"!" in crash.read_bytes() and crash.name.startswith("KeyError-")
    kept = [path for path in (toys / "corpus" / "finds").iterdir() if path.name != "whole-0"]
    assert all(len(path.name) == 12 for path in kept)
    assert any("inputs" in line for line in said)


def test_mutations_are_repeatable_and_bounded():
    import random

    inputs = [bytes(range(40)), b"", b"a,1\nb,22\n"]
    made = [
        [mutated(data, random.Random(i), inputs, [b"word"]) for i in range(300) for data in inputs] for _ in range(2)
    ]
    assert made[0] == made[1] and len(set(made[0])) > 600
    assert max(map(len, made[0])) <= LARGEST


def test_every_kept_input_is_read_or_refused():
    """Seeds, what reached new lines, and every input that once went wrong."""
    run = subprocess.run(
        [sys.executable, "-m", "fuzz", "--jobs", "2"], cwd=REPOSITORY, capture_output=True, text=True,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{len(campaign.names())} targets" in run.stdout and ", 0 findings" in run.stdout


def test_every_target_has_inputs_to_begin_with():
    assert all(campaign.kept(name) for name in campaign.names())
