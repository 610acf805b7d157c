"""What is said about pictures: each has a title, one sentence and a text in its stead."""

import pytest
from page_on_disk import change
from results_on_disk import write_comparison, write_params

from earshift.report import results
from earshift.report.figures import draw as figures
from earshift.report.page import captions
from earshift.report.page.content import gathered


@pytest.fixture
def g(inputs):
    return gathered(results.document())


def test_every_picture_that_is_drawn_is_known(g):
    names = list(figures.pictures(g.content))
    said = {name: captions.caption(name, g) for name in names}
    assert len({caption.title for caption in said.values()}) == len(names)
    for name, caption in said.items():
        assert "added without a text" not in caption.reading, name
        assert caption.reading.endswith(".") and caption.reading.count(". ") == 0, name  # one sentence
        assert caption.alt.endswith(".") and len(caption.alt) > 60, name
    of_encoders = {f"{kind}_{e}" for kind in captions.ABOUT_ENCODER for e in g.encoders}
    assert set(names) == set(captions.ORDER) - {"subsets"} | of_encoders  # no streams were combined here


def test_the_text_gives_the_numbers(g):
    assert "gain: mfcc 0.25, musicnn 0.50; reverb: mfcc 0.38, musicnn 0.62" in captions.caption("headline", g).alt
    assert "worst drop 0.125 at 5\xa0dB" in captions.caption("roc_auc_mfcc", g).alt
    assert "gain: mfcc, musicnn; reverb: mfcc, musicnn; overall: mfcc, musicnn" in captions.caption("ranking", g).alt
    assert "reverb from 1.0 to 13.0 dB" in captions.caption("severity", g).alt


def test_the_text_gives_the_numbers_of_consistency(g):
    assert captions.caption("consistency", g).alt.endswith(
        "audio, DTW: gain 0.94; reverb 0.94; vectors, Euclidean: gain: mfcc 0.75, musicnn 0.69; "
        "reverb: mfcc 0.72, musicnn 0.66."
    )
    assert "gain: mfcc −4 and 5, musicnn −4 and 5; reverb: mfcc 0.22" in captions.caption("minimum_magnitudes", g).alt
    assert captions.caption("originals_correlation", g).alt.endswith("Euclidean: mfcc 0.50, musicnn 0.38.")


def test_the_text_gives_the_numbers_of_models_and_tasks(g):
    assert "nearest is own, Euclidean: mfcc 0.88, musicnn 0.75; " in captions.caption("marginal_means", g).alt
    assert captions.caption("performance", g).alt.endswith(
        "On originals, auto-encoder: musicnn 0.50; instruments: musicnn 0.75."
    )
    assert "gain: mfcc 0.60 and 0.50, musicnn" in captions.caption("tsne", g).alt


def test_pictures_of_one_encoder(g):
    assert captions.encoder_of("roc_auc_mfcc", g.encoders) == "mfcc"
    assert captions.encoder_of("beyond_musicnn", g.encoders) == "musicnn"
    assert captions.encoder_of("roc_auc_instrument", g.encoders) is None
    assert captions.encoder_of("roc_auc_openl3", g.encoders) is None
    assert captions.caption("beyond_mfcc", g).title.startswith("mfcc: ")


def test_a_picture_that_nobody_described(g):
    caption = captions.caption("something_new", g)
    assert caption.title == "something new" and caption.alt == "Picture: something new."


def test_numbers_that_are_missing(inputs):
    change(inputs / "metrics/cca/mfcc/gain.json", ("global", "heldout", None))
    change(inputs / "metrics/trajectories/mfcc/gain.json", ("distance_between_originals", None))
    write_params(inputs, ("mfcc",), ("gain",))
    write_comparison(inputs)
    g = gathered(results.document())
    assert "gain: mfcc –" in captions.caption("headline", g).alt
    assert "gain: mfcc –" in captions.caption("paths", g).alt


def test_the_instrument_is_the_one_that_is_drawn(inputs):
    text = (inputs / "params.yaml").read_text()
    (inputs / "params.yaml").write_text(text.replace("instrument: cello", "instrument: theremin"))
    assert "few cello clips" in captions.caption("umap_maps", gathered(results.document())).alt
