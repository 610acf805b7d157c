"""Hashes of the code of every stage, for DVC to notice a change of it: the same hashes that keys of artifacts hold."""

from earshift.pipeline import code, paths, pinning
from earshift.pipeline.code import code_sha256
from earshift.pipeline.packages import package_versions
from earshift.storage.files import write_if_changed

_ALWAYS = ("__init__", "inputs", "track")  # run every time, whatever their code


def write_code_inputs() -> None:
    """Write data/inputs/code/STAGE.json for every stage, and remove the files of stages that are no more."""
    stages = [path.stem for path in sorted(paths.STAGES.glob("*.py")) if path.stem not in _ALWAYS]
    for stage in stages:
        root = f"stages.{stage}"
        content = {"code": code_sha256(root), "packages": package_versions(root), "numerics": pinning.NUMERICS}
        write_if_changed(paths.code_inputs(stage), content)
    code.remember()
    for path in paths.code_inputs("").parent.glob("*.json"):
        if path.stem not in stages:
            path.unlink()
