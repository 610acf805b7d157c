"""Importing any stage module calls no network, writes nothing, starts no program and needs no GPU."""

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import stages

REPOSITORY = Path(__file__).parents[1]
MODULES = [info.name for info in pkgutil.walk_packages(stages.__path__, "stages.")]

# Python tells what is opened, started and connected to before it happens; what is read is allowed
WATCH = """
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
    sys.exit(f"while importing {module}: {event} {arguments}")

import stages
sys.addaudithook(watch)
for module in sys.argv[1:]:
    __import__(module)
assert "torch" not in sys.modules or not sys.modules["torch"].cuda.is_initialized()
"""


def test_every_module_is_found():
    assert {
        "earshift.pipeline.embed",
        "earshift.corpora.folder",
        "earshift.pipeline.tracking.track",
        "earshift.storage.downloads",
    } <= set(MODULES)


@pytest.mark.parametrize("room", sorted({".".join(name.split(".")[:2]) for name in MODULES}))
def test_importing_does_nothing_else(room, tmp_path):
    modules = [name for name in MODULES if name == room or name.startswith(f"{room}.")]
    environment = os.environ | {"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(
        [sys.executable, "-c", WATCH, *modules], cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert list(tmp_path.iterdir()) == []
