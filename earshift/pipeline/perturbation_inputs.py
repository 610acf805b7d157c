"""Stage ``materials``: ``python -m stages.perturbation_inputs``.

Runs every time and writes data/inputs/perturbations/NAME.json for every perturbation of ``run.perturbations``. DVC watches options
and code by itself; the recordings that a perturbation reads lie elsewhere, and their hash here is how a change of them
is noticed. Where they are not on this machine, what a colleague's machine said of them, pulled with the rest, stays.
"""

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.storage.files import read_json, write_json


@command
def main():
    params = load()
    for name in params.run.perturbations:
        write_json(paths.perturbation_inputs(name), {"material": _material(name, params.perturbations[name])})
    for path in paths.PERTURBATION_INPUTS.glob("*.json"):
        if path.stem not in params.run.perturbations:
            path.unlink()


def _material(name, perturbation):
    """Hash of what a perturbation reads, as it is here or as it was pulled."""
    try:
        return perturbation.material()
    except UserError:
        pulled = (read_json(paths.perturbation_inputs(name)) or {}).get("material")
        if not pulled:
            raise
    print(f"materials: what {name} reads is not here; going on with what was pulled of it")
    return pulled


if __name__ == "__main__":
    main()
