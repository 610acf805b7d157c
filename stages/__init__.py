"""One short script per stage of dvc.yaml. Importing this package pins threads and instruction sets first."""

from earshift.pipeline import pinning  # noqa: F401
