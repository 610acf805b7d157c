"""Stage ``excerpts``: a few clips to listen to, the original and three strengths of every perturbation."""

from pathlib import Path

from earshift.pipeline import config, excerpts, paths
from earshift.pipeline.artifacts import Artifact, make_key, open_output
from earshift.pipeline.command import command
from earshift.pipeline.compute import Compute
from earshift.pipeline.recipes import audio_key, read_recipes
from earshift.pipeline.side_by_side import compute_missing
from earshift.storage.clips import corpus_digest, read_clips

Task = tuple[config.Config, str]


@command
def main() -> None:
    """Write the excerpts of the perturbations of the run."""
    params = config.load()
    clips = read_clips(paths.CLIPS)
    digest, table = corpus_digest(clips), clips[["label", "split"]].to_numpy().tolist()
    tasks: dict[Artifact, Task] = {}
    for name in params.run.perturbations:
        contents = {"audio": [audio_key(recipe, digest).sha256 for recipe in read_recipes(name)], "clips": table}
        key = make_key("excerpts", contents=contents, options=[name, params.report, params.corpus.chosen.shareable],
                       code=["stages.excerpts"])  # fmt: skip
        tasks[Artifact(name, key, (paths.excerpts(name),))] = params, name
    compute_missing(
        "excerpts", write, tasks, open_output(paths.EXCERPTS, list(tasks)), params.compute, unit="perturbations"
    )


def write(task: Task, root: Path, compute: Compute) -> None:
    """Write the excerpts of one perturbation."""
    params, name = task
    excerpts.write_excerpts(params, name, root / paths.excerpts(name))


if __name__ == "__main__":
    main()
