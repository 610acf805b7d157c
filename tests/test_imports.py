"""Importing any module calls no network, writes nothing, starts no program, needs no GPU and nothing heavy."""

import ast
import graphlib
import os
import pkgutil
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest

import earshift
import stages

REPOSITORY = Path(__file__).parents[1]
MODULES = {
    info.name: REPOSITORY.joinpath(*info.name.split("."), *(["__init__"] if info.ispkg else [])).with_suffix(".py")
    for package in (earshift, stages)
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
}
HEAVY = (
    "torch", "torchaudio", "tensorflow", "keras", "onnx", "sklearn", "statsmodels", "umap", "numba", "librosa",
    "soundfile", "pandas", "matplotlib", "mlflow", "dvc", "dask", "distributed", "requests", "pedalboard", "musdb",
    "pyloudnorm", "tinysoundfont", "pretty_midi",
)  # fmt: skip
# Modules of compiled loops and of networks, and stages that run them
ALLOWED = {
    "numba": ("earshift.analysis.", "earshift.encoders.kernels.", "earshift.pipeline.", "stages."),
    "torch": ("earshift.training.", "earshift.encoders.kernels.", "earshift.pipeline.", "stages."),
    "pandas": ("earshift.pipeline.", "earshift.storage.tables", "earshift.training.", "stages."),
}

# Python tells what is opened, started and connected to before it happens; what is read is allowed
WATCH = f"""
import os, sys

def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        writes = isinstance(mode, str) and set(mode) & set("wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if not writes or str(path) == os.devnull:
            return
    elif event.split(".")[0] not in ("socket", "subprocess", "os", "shutil", "urllib", "ftplib") or event in (
        "os.listdir", "os.scandir", "os.putenv", "os.unsetenv", "os.add_dll_directory", "os.walk", "os.fwalk",
        "os.getxattr", "os.listxattr", "os.chdir", "os.fork", "socket.__new__", "socket.gethostname",
    ):
        return
    if "uname" in str(arguments[0]):  # the standard library's platform module asks for the processor's name
        return
    sys.exit(f"while importing {{module}}: {{event}} {{arguments}}")

import stages
sys.addaudithook(watch)
for module in sys.argv[1:]:
    before = set(sys.modules)
    __import__(module)
    for package in {set(HEAVY)!r} & (set(sys.modules) - before):
        if not module.startswith({ALLOWED!r}.get(package, ("nothing",))):
            sys.exit(f"{{module}} imports {{package}}")
"""


def test_every_module_is_found():
    assert {
        "earshift.pipeline.embed",
        "earshift.corpora.folder",
        "earshift.pipeline.tracking.track",
        "earshift.storage.downloads",
        "stages.corpus",
    } <= set(MODULES)


@pytest.mark.parametrize("room", sorted({".".join(name.split(".")[:2]) for name in MODULES if "stages." not in name}))
def test_importing_does_nothing_else(room, tmp_path):
    importing(tmp_path, [name for name in MODULES if name == room or name.startswith(f"{room}.")])


def test_importing_stages_does_nothing_else(tmp_path):
    importing(tmp_path, [name for name in MODULES if name.startswith("stages.")])


def test_params_load_without_anything_heavy():
    """Every stage begins with that, and it looks at every encoder, perturbation and corpus."""
    program = "import sys; from earshift.pipeline import config; config.load(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert not {*HEAVY, "h5py"} & set(run.stdout.split())


def importing(home, modules):
    environment = os.environ | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(
        [sys.executable, "-c", WATCH, *modules], cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert list(home.iterdir()) == []


def imported_by(name):
    """Modules of ours that a module imports, at its top or late, by whatever form of the statement."""
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            there = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
            inner = {f"{there}.{alias.name}" for alias in node.names} & set(MODULES)
            yield from inner
            if len(inner) < len(node.names):
                yield there


def test_there_is_no_circle_of_imports():
    graph = {name: set(imported_by(name)) & set(MODULES) - {name} for name in MODULES}
    assert "earshift.errors" in graph["earshift.storage.files"]
    graphlib.TopologicalSorter(graph).prepare()  # names the modules of a circle


def test_nothing_imports_a_stage():
    importers = {name for name in MODULES for found in imported_by(name) if found.split(".")[0] == "stages"}
    assert not {name for name in importers if not name.startswith("stages")}
