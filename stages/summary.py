"""Stage ``summary``: the headline numbers of every encoder under every perturbation."""

import argparse
from collections.abc import Sequence

from earshift.pipeline import paths, report_inputs
from earshift.pipeline.command import command
from earshift.report import summary
from earshift.storage.files import write_json


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Write metrics/summary.json, or print the tables."""
    parser = argparse.ArgumentParser(prog="python -m stages.summary", description=main.__doc__)
    parser.add_argument("--show", action="store_true", help="print the tables and write nothing")
    show, results = parser.parse_args(arguments).show, report_inputs.results()
    if show:
        summary.show(results)
    else:
        write_json(paths.SUMMARY, summary.summary(results))


if __name__ == "__main__":
    main()
