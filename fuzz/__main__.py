"""``python -m fuzz [--seconds N] [TARGET ...]``: without seconds, what is kept runs once."""

import argparse
import os
import sys

from fuzz import campaign


def main():
    known = campaign.names()
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--seconds", type=float, default=0, help="for all targets together; 0: only kept inputs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="worker processes at a time")
    parser.add_argument("--seed", type=int, default=0, help="other seeds, other inputs")
    parser.add_argument("--own", action="store_true", help="the mutator of this repository even where atheris is there")
    options = parser.parse_args()
    strange = [name for name in options.targets if name not in known]
    if strange:
        parser.error(f"no target {', '.join(strange)}; there are {', '.join(known)}")
    results = campaign.run(
        options.targets or known, options.seconds, seed=options.seed, jobs=max(options.jobs, 1),
        guided=not options.own, say=lambda line: print(line, flush=True),
    )  # fmt: skip
    found = 0
    for name, result in results.items():
        for key, (finding, data) in sorted(result.findings.items()):
            found += 1
            print(f"\n{name}: {key}, {len(data)} bytes: {data[:60]!r}\n{finding.text}")
    executions = sum(result.executions for result in results.values())
    print(f"fuzz: {len(results)} targets, {executions} inputs, {found} findings"
          + (f"; the inputs lie in {campaign.HOME.name}/crashes" if found and options.seconds else ""))  # fmt: skip
    sys.exit(found > 0)


if __name__ == "__main__":
    main()
