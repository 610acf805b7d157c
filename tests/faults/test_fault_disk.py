"""A disk that is full or read-only while a stage writes: one message, no half file, and the next run makes up for it.

On real file systems of their own, mounted in a namespace that ends with the process: nothing is left behind.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from disturbed import environment, forget

from earshift.pipeline import paths

NAMESPACE = ["unshare", "--mount"] if os.name != "nt" and os.geteuid() == 0 else ["unshare", "-rm"]

# Runs a stage on a small disk, then on a larger one, and prints both endings, what lay there between, and the files
SCRIPT = """
import hashlib, importlib, io, contextlib, json, subprocess, sys
from pathlib import Path

module, arguments, folder, first, then = json.loads(sys.argv[1])
main = importlib.import_module(module).main

def mount(*options):
    subprocess.run(["mount", *options, "tmpfs", folder], check=True)

def files():
    files = [p for p in Path(folder).rglob("*") if p.is_file() and p.name != "index.json"]  # whose content is growing
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

def ending():
    sys.argv = [module, *arguments]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            main()
    except SystemExit as stopped:
        return stopped.code
    return None

mount("-t", "tmpfs", "-o", first)
printed, between = ending(), files()
mount("-o", f"remount,{then}")
print(json.dumps([printed, between, ending(), files()]))
"""


@pytest.fixture(scope="module", autouse=True)
def _mounts(tmp_path_factory):
    place = tmp_path_factory.mktemp("mount")
    attempt = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", str(place)]
    if shutil.which("unshare") is None or subprocess.run(attempt, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here: this user has no namespaces of its own")


def on_a_disk(folder, first, then, module, *arguments):
    """How a stage ended on the first disk, what lay there, how it ended on the other, and what lies there then."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    about = json.dumps([module, arguments, str(folder), first, then])
    command = [*NAMESPACE, sys.executable, "-c", SCRIPT, about]
    run = subprocess.run(command, capture_output=True, text=True, env=environment("."), timeout=1800)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.fixture
def undisturbed(bench):
    """The files of a folder by name, as hashes; the folder is empty then, and the store too."""
    bench().run()

    def taken(folder):
        files = [p for p in folder.rglob("*") if p.is_file() and p.name != "index.json"]
        found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
        shutil.rmtree(folder)
        forget()
        return found

    return taken


STAGES = {
    "embeddings": (paths.embeddings("toy"), "stages.embed", "toy"),
    "audio": (paths.AUDIO / "gain", "stages.perturb", "gain"),
}


@pytest.mark.parametrize("what", STAGES)
def test_a_full_disk(undisturbed, what):
    folder, *stage = STAGES[what]
    size = sum(path.stat().st_size for path in folder.rglob("*.h5")) - 4096
    expected = undisturbed(folder)
    printed, between, ending, files = on_a_disk(folder, f"size={size}", "size=50m", *stage)
    assert printed.startswith(f"earshift: cannot write {folder}") and "the disk is full, free some space" in printed
    assert "\n" not in printed
    assert between.items() < expected.items(), "whole files or none"
    assert ending is None and files == expected


@pytest.mark.parametrize("what", STAGES)
def test_an_output_that_is_read_only(undisturbed, what):
    folder, *stage = STAGES[what]
    expected = undisturbed(folder)
    printed, between, ending, files = on_a_disk(folder, "ro,size=50m", "rw,size=50m", *stage)
    assert printed.startswith("earshift: ") and str(folder) in printed and "the file system is read-only" in printed
    assert "\n" not in printed and between == {}
    assert ending is None and files == expected


def test_a_full_disk_of_the_store(undisturbed):
    folder = paths.embeddings("toy")
    expected = undisturbed(folder)
    printed, _, ending, _ = on_a_disk(paths.STORE, "size=24k", "size=50m", "stages.embed", "toy")
    assert printed.startswith(f"earshift: cannot write {paths.STORE}")
    assert "the disk is full, free some space" in printed
    assert ending is None
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.h5")} == expected
