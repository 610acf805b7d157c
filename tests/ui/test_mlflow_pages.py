"""What a person finds in MLflow's pages: two experiments, their pairs, and the numbers of two pairs side by side."""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest

REPOSITORY = Path(__file__).parents[2]
EXPERIMENTS = ("calm", "louder")  # in the order in which they were tracked
PAIRS = ("mfcc / gain", "mfcc / reverb", "musicnn / gain", "musicnn / reverb")
TRACKED = """
import os
from pathlib import Path
from results_on_disk import write_pair, write_results, write_robustness
from earshift.pipeline.tracking import track

root = Path.cwd()
write_results(root)
os.environ["DVC_EXP_NAME"] = "calm"
track.track()
write_pair(root, "mfcc", "gain", 0.75)
write_robustness(root, "mfcc", "gain", 0.25)
os.environ["DVC_EXP_NAME"] = "louder"
track.track()
"""
START_SECONDS = 600
ROW = 45  # height in pixels of a row in the compare page's table of metrics

pytestmark = pytest.mark.usefixtures("browser")  # no Chromium: skipped before a server is started


def environment():
    """This process' environment, without somebody else's DVC, MLflow and options of make, and quiet."""
    foreign = ("DVC_", "MLFLOW_", "MAKE", "MFLAGS", "HOST", "SERVER", "ALLOW")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "TZ": "UTC"}
    quiet["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return kept | quiet | {"PYTHONPATH": os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / "tests/report")))}


def free_port():
    """A port of the loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def tracked(browser, tmp_path_factory):
    """A folder of results in whose MLflow store two DVC experiments lie; mfcc / gain differs between them."""
    root = tmp_path_factory.mktemp("tracked")
    subprocess.run([sys.executable, "-c", TRACKED], cwd=root, env=environment(), check=True, timeout=1200)
    return root


@pytest.fixture(scope="module")
def printed(tracked):
    """The address that `make ui` prints, while it serves that store."""
    log, port = tracked / "server.log", free_port()
    # The store is that of the folder make runs in, where there is nothing to set up: the stamp is as good as new
    command = ["make", "-f", REPOSITORY / "Makefile", "-o", "stamp", "STAMP=stamp", f"PORT={port}", "ui"]
    with open(log, "w") as file:
        started = subprocess.Popen(
            command, cwd=tracked, env=environment(), stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for_answer(f"http://127.0.0.1:{port}/health", started, log)
        yield re.search(r"http://127\.0\.0\.1:\S+", log.read_text())[0]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGTERM)
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)


def wait_for_answer(address, process, log):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.1)
    pytest.fail(f"MLflow does not reply at {address}:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def runs(tracked):
    """Run ids by name."""
    return dict(rows(tracked, "SELECT name, run_uuid FROM runs"))


def rows(root, query, *values):
    with contextlib.closing(sqlite3.connect(root / "mlflow.db")) as database:
        return database.execute(query, values).fetchall()


@pytest.fixture
def mlflow(visit, printed):
    """A function that opens a page of MLflow, by default the one whose address was printed; it gives the visit."""

    def opened(page=None):
        opened = visit()
        # MLflow opens its chat on the first visit and leaves it alone once that has happened
        opened.page.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
        opened.page.goto(printed if page is None else printed.partition("#")[0] + "#" + page)
        return opened

    return opened


def child(pair, experiment):
    return f"{pair} @ {experiment}"


def test_the_experiment_page_lists_parents_and_children(mlflow, screenshots):
    visit = mlflow("/experiments/1/runs?workflowType=machine_learning")
    rows = visit.page.get_by_role("treegrid").or_(visit.page.get_by_role("grid"))
    names = rows.get_by_role("row").get_by_role("link")
    names.filter(has_text="calm").wait_for()
    assert names.filter(has_not_text="general_midi").all_inner_texts() == ["louder", "calm"], "the newest on top"
    visit.photograph(screenshots / "mlflow-experiments.png")

    for name in EXPERIMENTS:
        row = visit.page.get_by_role("row").filter(has=visit.page.get_by_role("link", name=name, exact=True))
        row.get_by_role("button").first.click()
        for pair in PAIRS:
            rows.get_by_role("link", name=child(pair, name), exact=True).wait_for()
    visit.photograph(screenshots / "mlflow-experiments-expanded.png")
    assert not visit.strangers


def test_the_printed_address_shows_all_pairs(mlflow, screenshots):
    visit = mlflow()
    page = visit.page
    page.get_by_role("link", name=child("mfcc / gain", "calm"), exact=True).wait_for()
    visit.photograph(screenshots / "mlflow-first.png")
    names = page.get_by_role("row").get_by_role("link").all_inner_texts()
    assert names == [child(pair, name) for pair in PAIRS for name in EXPERIMENTS], "equal pairs stand together"
    numbers = page.eval_on_selector_all(
        ".ag-center-cols-container [row-index='0'], .ag-center-cols-container [row-index='1']",
        "rows => rows.map(row => row.innerText.split(/\\s+/).filter(Boolean))",
    )
    assert sorted(first for first, *_ in numbers) == ["0.25", "0.75"]


# Cells of the table of metrics, which keeps in the page only those rows that are in view: [top, left, text] once the
# row at `last` is there, in all columns
CELLS = """([top, last]) => {
    const grids = [...document.querySelectorAll('.ReactVirtualized__Grid[role=grid]')]
    grids.forEach(grid => { grid.scrollTop = top })
    const cells = grids.map(grid => [...grid.firstElementChild.children])
    return cells.every(of => of.some(cell => cell.offsetTop === last)) && cells.flatMap(of => of.map(cell =>
        [cell.offsetTop, cell.getBoundingClientRect().left, cell.innerText.trim()]))
}"""


def side_by_side(page):
    """All rows of the compare page's table of metrics: {name: [number of each run as text]}."""
    grid = page.locator(".ReactVirtualized__Grid[role=grid]").last
    view, height = grid.evaluate("grid => [grid.offsetHeight, grid.firstElementChild.offsetHeight]")
    cells = {}
    for top in range(0, height, view - ROW):
        last = min(top + view, height) // ROW * ROW - ROW
        shown = page.wait_for_function(CELLS, arg=[top, last]).json_value()
        cells |= {(top, left): text for top, left, text in shown}
    table = {}
    for (top, _), text in sorted(cells.items()):
        table.setdefault(top, []).append(text)
    return {name: numbers for name, *numbers in table.values()}


def test_two_children_side_by_side(mlflow, runs, tracked, screenshots):
    chosen = [runs[child("mfcc / gain", name)] for name in EXPERIMENTS]
    visit = mlflow(f"/compare-runs?runs={json.dumps(chosen)}&experiments={json.dumps(['1'])}")
    page = visit.page
    for name in EXPERIMENTS:
        page.get_by_text(child("mfcc / gain", name)).first.wait_for()
    page.get_by_role("link", name="cca/heldout_r2", exact=True).scroll_into_view_if_needed()
    visit.photograph(screenshots / "mlflow-compare.png")
    shown = side_by_side(page)
    assert shown["cca/heldout_r2"] == ["0.25", "0.75"]
    assert shown["cca/null_r2_p95"] == ["0.047", "0.047"]
    assert shown["svd/effective_rank"] == ["5.25", "5.25"]
    assert shown["roc_auc/original"] == ["0.938", "0.938"]
    assert shown["roc_auc/worst_drop"] == ["0.125", "0.25"]
    logged = {name for (name,) in rows(tracked, "SELECT key FROM latest_metrics WHERE run_uuid = ?", chosen[0])}
    assert set(shown) == logged and {name.partition("/")[0] for name in logged} >= {"cca", "svd", "roc_auc"}
    assert all(len(numbers) == 2 and all(numbers) for numbers in shown.values()), "a number for both runs"
    assert not visit.strangers


def curves(page, runs, *, points):
    """The curves of `runs` in the only chart on the page, once all have that many points: {run: [(step, number)]}."""
    page.wait_for_function(
        """([runs, points]) => {
            const charts = document.querySelectorAll('.js-plotly-plot')
            const traces = charts.length === 1 && charts[0].querySelector('path.js-line') ? charts[0]._fullData : []
            return runs.every(run => traces.some(trace => trace.name === run && trace.x.length === points))
        }""",
        arg=[runs, points],
    )
    return page.locator(".js-plotly-plot").evaluate(
        "chart => Object.fromEntries(chart._fullData.map(of => [of.name, Array.from(of.x, (x, i) => [x, of.y[i]])]))"
    )


def test_roc_auc_along_the_grid_is_a_curve(mlflow, runs, screenshots):
    name = child("mfcc / gain", "calm")
    visit = mlflow(f"/experiments/1/runs/{runs[name]}/model-metrics")
    search = visit.page.get_by_placeholder("Search metric charts")
    visit.page.locator(".js-plotly-plot").first.wait_for()
    visit.photograph(screenshots / "mlflow-metrics.png")
    search.fill("^roc_auc/none$")
    curve = curves(visit.page, [name], points=6)[name]
    visit.photograph(screenshots / "mlflow-curve.png")
    assert curve == [[step, pytest.approx(0.9375 - 0.025 * (step - 1))] for step in range(1, 7)]
    search.fill("^svd/spectrum$")
    falling = [number for _, number in curves(visit.page, [name], points=24)[name]]
    assert falling == sorted(falling, reverse=True) and falling[0] == 1


def test_two_curves_in_one_chart(mlflow, runs, screenshots):
    names = [child("mfcc / gain", experiment) for experiment in EXPERIMENTS]
    query = {"runs": [runs[name] for name in names], "metric": "roc_auc/none", "experiments": ["1"],
             "plot_metric_keys": ["roc_auc/none"]}  # fmt: skip
    address = "&".join(f"{key}={quote(json.dumps(value))}" for key, value in query.items())
    visit = mlflow(f"/metric?{address}&x_axis=step")
    shown = curves(visit.page, names, points=6)
    visit.photograph(screenshots / "mlflow-two-curves.png")
    assert [shown[name][-1] for name in names] == [[6, 0.9375 - 0.125], [6, 0.9375 - 0.25]]


def test_the_page_of_one_child(mlflow, runs, screenshots):
    run = runs[child("mfcc / gain", "louder")]
    visit = mlflow(f"/experiments/1/runs/{run}")
    page = visit.page
    page.get_by_role("heading", name=child("mfcc / gain", "louder")).wait_for()
    page.get_by_text("general_midi (01234567)").wait_for()
    visit.photograph(screenshots / "mlflow-run.png")
    text = " ".join(page.locator("body").inner_text().split())
    assert "mfcc under gain" in text and "dvc exp apply louder" in text, "the description"
    for tag in ("encoder : mfcc", "perturbation : gain", "corpus : general_midi", "fidelity : corrected"):
        assert tag in text
    assert "louder" in page.get_by_text("Parent run").locator("xpath=..").inner_text()

    page.goto(page.url.partition("?")[0] + "/artifacts")
    page.get_by_text("grid.json", exact=True).first.click()
    page.get_by_text("-40").first.wait_for()
    assert page.get_by_text("metrics", exact=True).first.is_visible()
    assert page.get_by_text("plots", exact=True).first.is_visible()
    visit.photograph(screenshots / "mlflow-artifacts.png")
    assert not visit.strangers
