"""One value of a perturbation as something that can be written down, compared and applied."""

import json
from dataclasses import asdict, dataclass

from earshift import plugins as scan
from earshift.errors import UserError
from earshift.options import value_text
from earshift.perturbations import processing as chain_module
from earshift.perturbations.base import Perturbation
from earshift.perturbations.processing import chain
from earshift.pipeline import paths
from earshift.storage.files import read_json, rounded, write_json
from earshift.storage.provenance import fingerprint, source_sha256, versions


@dataclass(frozen=True)
class Recipe:
    """All that turns a corpus into one perturbed version of it.

    perturbation : Perturbation
    value : str, canonical text
    fidelity : str
    switches : tuple of (name, bool), see :mod:`earshift.perturbations.processing`
    material : str, hash of the user's files that it was planned with, "" where it needs none
    """

    perturbation: Perturbation
    value: str
    fidelity: str
    switches: tuple
    material: str = ""

    @property
    def ordered(self):
        """Whether clips must pass one after another, since each may leave something behind for the next."""
        return dict(self.switches)["reverb_tail"] and self.perturbation.stateful

    @property
    def dtype(self):
        """Sample type that holds the perturbed audio exactly: 16 bits after the trip through a 16-bit file."""
        return "int16" if dict(self.switches)["wav_round_trip"] else "float32"

    def processor(self):
        """The function (audio, sample_rate) -> perturbed audio.

        Raises
        ------
        UserError
            If files that the recipe was planned with are not here or have changed.
        """
        if self.material and self.perturbation.material() != self.material:
            name = self.perturbation.name
            raise UserError(f"what perturbations.{name} reads has changed since its recipes were made; run `dvc repro`")
        return chain(self.perturbation, float(self.value), **dict(self.switches))

    def fingerprint(self, corpus_digest):
        """Hash over everything that determines the perturbed audio."""
        return fingerprint(
            corpus=corpus_digest,
            perturbation=self.perturbation.name,
            value=self.value,
            options={key: value for key, value in self._options().items() if key not in self.perturbation.places},
            material=self.material,
            fidelity=self.fidelity,
            switches=dict(self.switches),
            code=source_sha256(type(self.perturbation), chain_module),
            packages=versions("numpy", *self.perturbation.packages),
        )

    def attributes(self):
        """What files made with this recipe say about it; JSON-able, and the whole recipe can be read back from it."""
        return {
            "perturbation": self.perturbation.name,
            "value": self.value,
            "unit": self.perturbation.unit,
            "neutral": "" if self.perturbation.neutral is None else value_text(self.perturbation.neutral),
            "growth": self.perturbation.growth,
            "fidelity": self.fidelity,
            "switches": json.dumps(dict(self.switches), sort_keys=True),
            "options": json.dumps(self._options(), sort_keys=True),
            "material": self.material,
        }

    def _options(self):
        return {key: value for key, value in asdict(self.perturbation).items() if key != "grid"}


def planned(params, name):
    """The recipes of a perturbation's whole grid, in order of growing strength."""
    perturbation = params.perturbations[name].decided(params.fidelity)
    switches, material = _switches(params, perturbation), perturbation.material()
    values = perturbation.values()
    return [Recipe(perturbation, value_text(v), params.fidelity, switches, material) for v in values]


def _switches(params, perturbation):
    """Accidents of the first study's chain; around another study's perturbation only those that are set by hand."""
    return tuple(
        (name, on and (perturbation.published_chain or getattr(params.perturb, name) is not None))
        for name, on in params.switches.items()
    )


def write_document(path, document):
    """Write what the file of a recipe says, and a checksum of it."""
    document = rounded(document)
    write_json(path, {**document, "checksum": fingerprint(**document)})


def read_document(path):
    """What the file of a recipe says, or None where there is none that is whole."""
    document = read_json(path)
    if not isinstance(document, dict) or "checksum" not in document:
        return None
    checksum = document.pop("checksum")
    return document if fingerprint(**document) == checksum else None


def written(name):
    """The recipes that lie under data/perturbed/NAME with their fingerprints, in order of growing strength.

    Returns
    -------
    list of (Recipe, str)
    """
    cls = scan.plugins("perturbations")[name]
    found = {}
    for path in paths.perturbed(name).glob("*.json"):
        document = read_document(path)
        if document is None:
            raise UserError(f"{path} is damaged; run `dvc repro perturb@{name}`, which makes it alone")
        found[float(document["value"])] = document
    if not found:
        raise UserError(f"{paths.perturbed(name)} holds no recipes; run `dvc repro perturb@{name}`")
    ordered = sorted(found, reverse=cls.growth == "down")
    return [
        (
            Recipe(
                cls(grid=tuple(ordered), **json.loads(document["options"])),
                document["value"],
                document["fidelity"],
                tuple(json.loads(document["switches"]).items()),
                document["material"],
            ),
            document["fingerprint"],
        )
        for document in (found[value] for value in ordered)
    ]
