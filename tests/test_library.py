"""The examples of docs/library.md run, one after another, as a reader would type them."""

import os
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
EXAMPLES = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "library.md").read_text(encoding="utf-8"), re.S)


def test_the_examples_run_without_dvc_and_mlflow(tmp_path):
    refused = ("dvc", "mlflow", "distributed", "click", "ruamel")
    script = "\n".join([
        "import sys",
        *(f"sys.modules[{name!r}] = None  # as if it were not installed" for name in refused),
        *EXAMPLES,
        "assert vectors[0].shape == (144,) and vectors[0].dtype == np.float32 and len(vectors) == len(clips) == 12",
        "assert change['snr_db'] < 40 and change['loudness_lu'] < 1 and trajectories.shape == (12, 4, 144)",
        "assert r2['heldout'] > 0.6 > 0.1 > r2['null_p95']",
            "assert r2['heldout_low'] <= r2['heldout'] <= r2['heldout_high']",
        "assert finished == [1, 1] and embeddings.clip == ['a', 'b']",
    ])  # fmt: skip
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True,
                         env={**os.environ, "PYTHONPATH": str(REPOSITORY)})  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "held-out R2 " in run.stdout


def test_importing_the_library_changes_nothing_of_the_process():
    code = """
import os
before = dict(os.environ)
import earshift.analysis.cca, earshift.encoders.loading
assert dict(os.environ) == before
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
