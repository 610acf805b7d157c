"""``earshift stamp``: report/index.html, the report page with the commit of this repository."""

from earshift.pipeline import paths
from earshift.report.page.stamp import stamp_page


def write_index() -> None:
    """Write report/index.html where it would change.

    Raises
    ------
    UserError
        If report/page.html is missing, or nothing can be written.
    """
    generated = (paths.LOCK, paths.METRICS, paths.PLOTS, paths.PAGE.parent)
    stamp_page(paths.PAGE, paths.INDEX, generated=generated)
