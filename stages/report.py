"""Stage ``report``: report/page.html, one self-contained page about the results on disk."""

from earshift.pipeline import paths, report_inputs
from earshift.pipeline.command import command
from earshift.report.page.page import make_page
from earshift.storage.files import replacing


@command
def main() -> None:
    """Write report/page.html."""
    page = make_page(report_inputs.results())
    with replacing(paths.PAGE) as temporary:
        temporary.write_text(page.html, encoding="utf-8", newline="\n")
    without = " without sounds, which would make it too large to send" if page.without_sounds else ""
    pixels = ", with pictures in pixels" if page.size else ""
    print(f"report: {paths.PAGE}, {len(page.html.encode()) / 1e6:.1f} MB{without}{pixels}")


if __name__ == "__main__":
    main()
