"""Stage ``summary``: the numbers of all pairs, at a glance and as one table.

Writes metrics/summary.json (headline numbers of every encoder under every perturbation), metrics/headline.json (those
by which experiments are compared) and results.parquet (every number of every pair, one in a row).
"""

from earshift.pipeline import paths, report_inputs
from earshift.pipeline.command import command
from earshift.report import headline, summary, tidy
from earshift.storage.files import write_json, write_parquet


@command
def main() -> None:
    results = report_inputs.results()
    write_json(paths.SUMMARY, summary.summary(results))
    write_json(paths.HEADLINE, headline.headline(results))
    write_parquet(paths.RESULTS, tidy.table(results))


if __name__ == "__main__":
    main()
