"""Where the numbers come from: what the page rests on, with hashes, versions and licences.

Conventions
-----------
Everything is read from results, nothing from the machine: the same results give the same page on every machine. The
state of the repository, which no result knows, is stamped in afterwards (:mod:`earshift.report.page.stamp`).
"""

import json

from earshift.pipeline import paths
from earshift.pipeline.corpus import LICENCE
from earshift.report import results
from earshift.report.figures import subsets
from earshift.report.page import text as wording
from earshift.storage import provenance
from earshift.storage.clips import corpus_digest

FILES = ("path", "root", "labels", "split_csv")  # parameters that say where a user's files lie: nobody else's business
_UNTRACKED = ("compute",)  # sections of params.yaml that change no number


def corpus(g):
    """What the corpus is, as (name, text)."""
    licence = paths.CORPUS / LICENCE
    said = " ".join(licence.read_text(encoding="utf-8").split()) if licence.exists() else "not stated"
    return [
        ("corpus", g.content["corpus"]["name"]),
        ("digest of its clips", corpus_digest(g.clips)),
        ("licence", said),
    ]


def encoders(g):
    """What each encoder's vectors were made with, as {encoder: list of (name, text)}."""
    return {encoder: _encoder(g.about[encoder], g.weights[encoder]) for encoder in g.encoders}


def _encoder(about, weights):
    held = weights.get("weights")
    lines = [("fidelity", about.get("fidelity", wording.MISSING))]
    if held is None:
        lines.append(("weights", "none"))
    else:
        lines += [("weights", weights.get("source", wording.MISSING)), ("sha256", held["sha256"]),
                  ("licence of the weights", weights.get("licence", wording.MISSING))]  # fmt: skip
        if weights.get("official") is False:
            lines.append(("official", "no: a file of the user's own"))
    versions = json.loads(about.get("packages") or "{}")
    lines.append(("packages", ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))))
    return [*lines, ("fingerprint of the originals' vectors", about.get("fingerprint", wording.MISSING))]


def parameters(content):
    """The parameters that determine numbers, as YAML-like text; where files of the user lie is left out.

    Parameters
    ----------
    content : dict, params.yaml

    Returns
    -------
    str
    """
    run = results.run(content)
    shown = {name: section for name, section in content.items() if name not in _UNTRACKED}
    for kind, names in (("encoders", run.encoders), ("perturbations", run.perturbations)):
        shown[kind] = {name: content[kind].get(name) for name in names}
    name = content["corpus"]["name"]
    shown["corpus"] = {k: v for k, v in content["corpus"].items() if not isinstance(v, dict) or k in ("split", name)}
    return "\n".join(_lines(shown))


def _lines(section, indent=""):
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{name}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{name}: {_hidden(value) if name in FILES else json.dumps(value, ensure_ascii=False)}"


def _hidden(value):
    return "null" if value is None else "(a path on the machine that ran it)"


def digest(g, excerpts):
    """SHA-256 over all that the page was made from.

    Parameters
    ----------
    g : earshift.report.page.content.Gathered
    excerpts : list of pathlib.Path, of what can be heard

    Returns
    -------
    str
    """
    files = [paths.COMPARISON, paths.SIGNIFICANCE]
    files += [paths.metrics(a, *pair) for a in results.ANALYSES for pair in g.pairs]
    files += sorted(results.existing(paths.FIGURES).iterdir())
    files += [paths.severity(p) for p in g.perturbations] + list(excerpts)
    files += subsets.files() if subsets.run(g.content) else []
    return provenance.fingerprint(
        corpus=corpus_digest(g.clips),
        parameters=parameters(g.content),
        vectors={e: g.about[e].get("fingerprint") for e in g.encoders},
        weights=g.weights,
        files={path.as_posix(): provenance.file_sha256(results.existing(path)) for path in files},
    )
