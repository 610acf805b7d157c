"""``python run_inputs.py TARGET [--examples N] [--seconds S]``: gives inputs to one reader of files, and watches it.

First the kept inputs of inputs/TARGET run, each of which once reached a line of its own or went wrong. Then Hypothesis
changes them: N examples, always the same, or new ones for S seconds. A target returns or raises UserError; anything
else is a finding, which is printed and ends the process with status 1. This is a process of its own, because an audit
hook and limits of memory cannot be taken away again.
"""

import argparse
import importlib
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent)]

from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from untrusted import guard  # noqa: E402
from untrusted.mutation import mutated as bytes_changed  # noqa: E402

_FIRST_MEMORY = 8 << 30  # bytes, while the first input brings what is imported late


def kept(name):
    """The kept inputs of a target, by file name."""
    return {path.name: path.read_bytes() for path in sorted((HERE / "inputs" / name).iterdir())}


def changed(module, inputs):
    """Inputs like the kept ones: changed as the target's own ``mutated`` does it, or byte by byte."""
    words, own = getattr(module, "WORDS", ()), getattr(module, "mutated", None)
    one, random = st.integers(0, len(inputs) - 1).map(inputs.__getitem__), st.randoms(use_true_random=False)
    bytewise = st.builds(lambda data, random: bytes_changed(data, random, inputs, words), one, random)
    return bytewise if own is None else st.one_of(st.builds(own, one, random), bytewise)


def failures(module, name, examples, seconds) -> Iterator[str]:
    inputs = kept(name)
    for number, (file, data) in enumerate(inputs.items()):
        found = guard.finding(module.target, data)
        if number == 0:
            guard.limit_memory()
        if found is not None:
            yield f"inputs/{name}/{file}: {found.key}\n{found.text}"

    class Failed(Exception):
        pass

    @settings(max_examples=examples or 200, deadline=None, database=None, derandomize=not seconds,
              phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(changed(module, list(inputs.values())))
    def run(data):
        found = guard.finding(module.target, data)
        if found is not None:
            raise Failed(f"{found.key}\n{found.text}\nKeep it in inputs/{name}, with the fix:\n{data!r}")

    end = time.monotonic() + seconds
    while examples or time.monotonic() < end:
        try:
            (seed(time.time_ns())(run) if seconds else run)()
        except Failed as error:
            yield str(error)
            return
        if not seconds:
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--examples", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 26, resource.RLIM_INFINITY))
    warnings.simplefilter("ignore")
    sys.dont_write_bytecode = True
    sys.stdout.reconfigure(errors="backslashreplace")
    module = importlib.import_module(f"untrusted.targets.{options.target}")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ |= {"HOME": folder, "TMPDIR": folder}
        getattr(module, "prepared", lambda: None)()
        guard.arm(_FIRST_MEMORY)
        found = list(failures(module, options.target, options.examples, options.seconds))
        os.chdir("/")
    print("\n\n".join(found))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
