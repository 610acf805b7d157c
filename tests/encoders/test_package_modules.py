"""Modules are loaded without anything else of their package, on packages made here and on the real ones."""

import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from earshift.encoders.weights.package_modules import load_module, without_initialisation
from earshift.errors import UserError

REPOSITORY = Path(__file__).parents[2]
FILES = {
    "toynet/__init__.py": "raise RuntimeError('the package was imported')",
    "toynet/models.py": """
        import os.path as where
        import heavy.plots as plots
        import numpy as np
        import torch.utils.checkpoint as checkpoint
        from heavy.layers import Layer
        from .inner import config
        from .inner.parts import double
        from . import inner_twin

        def later():
            import forbidden
    """,
    "toynet/inner_twin.py": "from .inner.parts import double",
    "toynet/inner/__init__.py": "raise RuntimeError('a package inside was imported')",
    "toynet/inner/config.py": "from .. import inner_twin\nvalue = 3",
    "toynet/inner/parts.py": "def double(x):\n    return 2 * x",
    "toynet/greedy.py": "import torchaudio",
}


@pytest.fixture
def toynet(tmp_path, monkeypatch):
    """A package on sys.path, as pip installs it."""
    files = FILES | {"toynet-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: toynet\nVersion: 1.2\n"}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(content))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "toynet"


def test_a_module_runs_without_its_package(toynet):
    before = set(sys.modules)
    stand_ins = {"heavy.plots": "plots", "heavy.layers": SimpleNamespace(Layer="layer")}
    module = load_module("toynet.models", "toynet==1.2", stand_ins)
    assert module.plots == "plots" and module.Layer == "layer"
    assert module.config.value == 3 and module.double(4) == 8 and module.inner_twin.double(5) == 10
    assert module.where.__name__ in ("posixpath", "ntpath") and module.np.__name__ == "numpy"
    assert module.checkpoint is torch.utils.checkpoint
    assert not {name for name in set(sys.modules) - before if name.startswith(("toynet", "heavy"))}


def test_every_caller_gets_its_own(toynet):
    one, other = (load_module("toynet.inner.config", "toynet==1.2") for _ in range(2))
    one.value = 4
    assert other.value == 3


def test_other_imports_are_refused(toynet):
    with pytest.raises(ImportError, match="toynet.greedy of toynet==1.2 imports torchaudio, which it may not"):
        load_module("toynet.greedy", "toynet==1.2")
    stand_ins = {"heavy.plots": None, "heavy.layers": SimpleNamespace(Layer=None)}
    later = load_module("toynet.models", "toynet==1.2", stand_ins).later
    with pytest.raises(ImportError, match="forbidden"):
        later()


@pytest.mark.parametrize(
    ("module", "requirement", "reason"),
    [
        ("toynet.models", "toynet==1.3", r"toynet 1\.2 is installed, expected 1\.3; run `pip install .*toynet==1.3`"),
        ("absent.models", "absent==0.1", r"absent==0\.1 is not installed.*run `pip install --no-deps absent==0.1`"),
        ("toynet.lost", "toynet==1.2", r"lost\.py of toynet==1\.2 cannot be read.*--force-reinstall toynet==1.2"),
        ("toynot.models", "toynet==1.2", r"toynet==1\.2 is installed without its package toynot"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_with_the_remedy(toynet, module, requirement, reason):
    with pytest.raises(UserError, match=reason) as caught:
        load_module(module, requirement)
    assert "\n" not in str(caught.value)


def test_networks_are_built_without_random_numbers():
    state = torch.get_rng_state()
    with without_initialisation():
        network = nn.Sequential(nn.Linear(300, 200), nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))
        torch.empty(3).normal_(2.0)
    assert torch.equal(torch.get_rng_state(), state)
    assert [tuple(p.shape) for p in network.parameters()][:3] == [(200, 300), (200,), (5, 3, 3, 3)]
    assert not torch.equal(torch.empty(3).uniform_(), torch.empty(3).uniform_())  # afterwards all is as before


@pytest.mark.parametrize("build", ["panns.cnn14", "clap.audio_encoder"])
def test_the_real_networks_come_without_side_effects(tmp_path, build):
    """No module of theirs is imported, no file is written at home, no connection and no process is opened."""
    code = f"""
        import os, socket, subprocess, sys, warnings
        import numpy, torch
        from earshift.encoders import {build.partition(".")[0]}

        def refused(*_, **__):
            raise AssertionError("a connection or a process was opened")

        socket.socket = os.system = subprocess.Popen = refused
        before = {{*sys.modules}}, [*warnings.filters], torch.get_rng_state().tolist(), torch.get_default_dtype()
        network = {build}()
        after = {{*sys.modules}}, [*warnings.filters], torch.get_rng_state().tolist(), torch.get_default_dtype()
        assert before[1:] == after[1:]
        roots = {{name.partition(".")[0] for name in after[0] - before[0]}}
        foreign = roots - {{*sys.stdlib_module_names, "numpy", "torch", "earshift"}}
        assert not foreign, foreign
        assert not any(isinstance(module, torch.nn.Module) and module.training for module in network.modules())
    """
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": "", "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout == done.stderr == "", done.stderr
    assert list(home.iterdir()) == [] and list(tmp_path.iterdir()) == [home]
