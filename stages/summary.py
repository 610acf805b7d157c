"""Stage ``summary``: the headline numbers of every encoder under every perturbation, in metrics/summary.json."""

from earshift.pipeline import paths, report_inputs
from earshift.pipeline.command import command
from earshift.report import summary
from earshift.storage.files import write_json


@command
def main() -> None:
    write_json(paths.SUMMARY, summary.summary(report_inputs.results()))


if __name__ == "__main__":
    main()
