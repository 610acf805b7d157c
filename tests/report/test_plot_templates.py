"""The templates of `dvc plots`: they fit the tables that they show, for one revision and for several."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from dvc_render import VegaRenderer
from results_on_disk import write_params

from earshift.pipeline import report_inputs
from earshift.report.figures import draw, ranking, style
from earshift.storage.files import write_table

REPOSITORY = Path(__file__).parents[2]
TEMPLATES = REPOSITORY / ".dvc/plots"
# template -> the table that dvc.yaml gives it, x, y
USES = {
    "gains": ("robustness", "area", "method"),
    "heldout_r2": ("headline", "encoder", "heldout_r2"),
    "ranking": ("ranking", "slope", "encoder"),
    "roc_auc": ("roc_auc", "strength", "roc_auc"),
    "spectra": ("spectra", "rank", "directions"),
}
OF_DVC = {"rev", "filename", "field"}  # columns that DVC adds


@pytest.fixture
def tables(results):
    """The tables as the stage writes them, by name."""
    return draw.tables(results)


def _read(template):
    return json.loads((TEMPLATES / f"{template}.json").read_text(encoding="utf-8"))


def _walk(content):
    """Every dict in JSON content."""
    if isinstance(content, dict):
        yield content
    for inner in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from _walk(inner)


def _columns(template):
    """Columns of the table that a template reads, and those that it makes."""
    parts = list(_walk(template))
    read = {part["field"] for part in parts if isinstance(part.get("field"), str)}
    read |= set(template["data"]["format"]["parse"])
    read |= {name for part in parts for name in part.get("fold", ())}
    read |= set(re.findall(r"datum\.(\w+)", json.dumps(template["transform"])))
    made = {part["as"] for part in parts if isinstance(part.get("as"), str)}
    made |= {name for part in parts if isinstance(part.get("as"), list) for name in part["as"]}
    return read - made, made


def _filled(template, table, revisions):
    """What DVC makes of it: every cell is text."""
    name, x, y = USES[template]
    rows = table.astype(object).where(table.notna(), "").astype(str).to_dict("records")
    points = [{**row, "rev": rev, "filename": f"plots/{name}.csv", "field": y} for rev in revisions for row in rows]
    renderer = VegaRenderer(points, name, template=template, template_dir=str(TEMPLATES), title="A title", x=x, y=y)
    return renderer.get_filled_template()


def test_dvc_yaml_names_every_template_and_table():
    from ruamel.yaml import YAML

    plots = YAML(typ="safe").load((REPOSITORY / "dvc.yaml").read_text())["plots"]
    named = {of["template"]: (path, of["x"], of["y"]) for plot in plots for path, of in plot.items()}
    assert named == {template: (f"plots/{name}.csv", x, y) for template, (name, x, y) in USES.items()}
    assert {path.stem for path in TEMPLATES.glob("*.json")} == set(USES)


@pytest.mark.parametrize("template", USES)
def test_a_template_uses_only_columns_that_are_there(template, tables):
    read, made = _columns(_read(template))
    assert read <= {*tables[USES[template][0]].columns, *OF_DVC}
    assert "rev" in read, "revisions could not be distinguished"
    assert not made & set(tables[USES[template][0]].columns)


@pytest.mark.parametrize("template", USES)
def test_numbers_are_read_as_numbers(template, tables):
    """A CSV's cells reach Vega as text, which it would sort and draw as names."""
    content = _read(template)
    parsed, table = set(content["data"]["format"]["parse"]), tables[USES[template][0]]
    made = _columns(content)[1]
    drawn = {part["field"] for part in _walk(content) if part.get("type") == "quantitative"} - made
    assert drawn <= parsed
    for name in parsed:
        assert pd.api.types.is_numeric_dtype(table[name]) or table[name].isna().all(), name


@pytest.mark.parametrize("revisions", [["workspace"], ["main", "other"]])
@pytest.mark.parametrize("template", USES)
def test_dvc_fills_a_template(template, revisions, tables):
    table = tables[USES[template][0]]
    filled = _filled(template, table, revisions)
    text = json.dumps(filled, allow_nan=False)
    assert "DVC_METRIC" not in text
    assert filled["title"]["text"] == "A title"
    assert len(filled["data"]["values"]) == len(revisions) * len(table)
    assert {row["rev"] for row in filled["data"]["values"]} == set(revisions)


@pytest.mark.parametrize("template", USES)
def test_axes_have_titles_or_name_what_stands_there(template):
    for part in _walk(_read(template)):
        for axis in ("x", "y"):
            if isinstance(part.get(axis), dict) and part[axis].get("type") == "nominal":
                assert "title" in part[axis]
    quantitative = [
        part[axis] for part in _walk(_read(template)) for axis in ("x", "y")
        if isinstance(part.get(axis), dict) and part[axis].get("type") == "quantitative"
    ]  # fmt: skip
    assert any(axis.get("title") for axis in quantitative)


@pytest.mark.parametrize("template", USES)
def test_colours_are_those_that_every_eye_tells_apart(template):
    """Of the project's palette; the two that stand for methods alone are of the same sets as the palette's."""
    known = {*style.PALETTE, style.INK, style.MUTED, style.FAINT, "#44AA99", "#332288"}
    used = set(re.findall(r"#[0-9A-Fa-f]{6}\b", (TEMPLATES / f"{template}.json").read_text()))
    assert used <= known


def test_an_encoder_has_its_colour_of_the_figures(world, tables):
    assert dict(zip(tables["headline"]["encoder"], tables["headline"]["colour"], strict=True)) == {
        "mfcc": style.PALETTE[0], "musicnn": style.PALETTE[5]
    }  # fmt: skip
    write_params(world, ("musicnn",), ("gain",))
    alone = report_inputs.results()
    assert set(ranking.table(alone).query("encoder == 'musicnn'")["colour"]) == {style.PALETTE[5]}


def test_what_is_significant_and_what_a_slope_is_the_loss_per(world, tables):
    gains = tables["robustness"].set_index("method")["significant"]
    assert set(gains["none"]) == {""} and set(gains["lda"]) == {"yes"} and set(gains["pca"]) == {"no"}
    assert set(tables["ranking"]["per"]) == {"per dB of log-spectral distance"}
    write_table(world / "gains.csv", tables["robustness"])
    assert (world / "gains.csv").read_text().splitlines()[1] == "mfcc,gain,none,0,-0.00390625,0.00390625,,"
