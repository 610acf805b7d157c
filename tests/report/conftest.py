"""Where the tests of the report room work."""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for results_on_disk, however pytest imports these modules
from computed_results import compute_results  # noqa: E402
from page_on_disk import write_page_inputs  # noqa: E402
from results_on_disk import write_results  # noqa: E402

from earshift.pipeline import report_inputs  # noqa: E402
from earshift.report.figures import style  # noqa: E402


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """A folder of results for two encoders and two perturbations, to be copied; writing it takes half a second."""
    root = tmp_path_factory.mktemp("written")
    write_results(root)
    return root


@pytest.fixture
def world(written, tmp_path, monkeypatch):
    """A folder of results for two encoders and two perturbations, entered, far from the caller's DVC and MLflow."""
    for name in os.environ:
        if name.startswith(("DVC_", "MLFLOW_")):
            monkeypatch.delenv(name)
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def inputs(world):
    """The same folder with all that the report page reads."""
    write_page_inputs(world)
    return world


@pytest.fixture
def results(world):
    """The results of that folder, read when they are asked for."""
    return report_inputs.results()


@pytest.fixture(scope="session")
def computed_once(tmp_path_factory):
    """A folder of results that the stages computed, not to be changed."""
    root = tmp_path_factory.mktemp("computed")
    compute_results(root)
    return root


@pytest.fixture
def computed(computed_once, monkeypatch):
    """Results that the stages computed, in a folder that is entered and stays as it is."""
    monkeypatch.chdir(computed_once)
    return report_inputs.results()


@pytest.fixture(autouse=True)
def project_style():
    """Figures are drawn in the project's style, as the stage draws them."""
    with style.styled():
        yield
