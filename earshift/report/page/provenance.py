"""What the page rests on: its parameters as text, and a digest of everything that it is made from.

Conventions
-----------
Everything is read from results, nothing from the machine: equal results give equal pages on every machine. The state of
the repository, which no result knows, is stamped in afterwards (:mod:`earshift.report.page.stamp`).
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from earshift.report.figures import subsets
from earshift.report.page.content import PRIVATE, Content
from earshift.report.results import existing
from earshift.storage import provenance
from earshift.storage.clips import corpus_digest
from earshift.storage.files import read_json

_HIDDEN = tuple(name for name in PRIVATE if name != "weights")  # a section, whose path is hidden inside


def parameter_text(parameters: Mapping[str, Any]) -> str:
    """The parameters that determine numbers, as YAML-like text that does not say where files of the user lie."""
    return "\n".join(_lines(parameters))


def _lines(section: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{name}:"
            yield from _lines(value, f"{indent}  ")
        elif name in _HIDDEN and value is not None:
            yield f"{indent}{name}: (a path on the machine that ran it)"
        else:
            yield f"{indent}{name}: {json.dumps(value, ensure_ascii=False)}"


def digest(g: Content) -> str:
    """SHA-256 over everything that the page is made from."""
    folders, study = g.results.folders, g.study
    files = [folders.metrics / f"{name}.json" for name in ("comparison", "significance")]
    files += [of.path(pair) for of in g.results.by_analysis.values() for pair in g.pairs]
    files += sorted(existing(folders.figures).iterdir())
    files += [folders.perturbed / p / "severity.csv" for p in g.perturbations]
    files += [folders.excerpts / f"{p}.json" for p in g.perturbations]
    files += subsets.files(folders) if g.subsets else []
    return provenance.fingerprint(
        corpus=corpus_digest(g.clips),
        parameters=parameter_text(study.parameters),
        vectors={encoder: _vectors(folders.embeddings / encoder) for encoder in g.encoders},
        weights=g.weights,
        files={path.as_posix(): provenance.file_sha256(existing(path)) for path in files},
    )


def _vectors(folder: Path) -> dict[str, Any]:
    """SHA-256 of every file of an encoder's vectors, as the index of the folder has them."""
    entries = read_json(existing(folder / "index.json"))["artifacts"]
    return {name: entry["files"] for name, entry in entries.items()}
