"""Pictures inside the page: what follows the colour scheme, what stays, and what is left out."""

import base64
import re
from pathlib import Path

import pytest
from matplotlib.colors import to_hex, to_rgb
from page_on_disk import PICTURE

from earshift.report.figures import style
from earshift.report.page import pictures


def read(name, **options):
    return pictures.read_picture(Path("plots/figures"), name, **options)


def drawn(picture):
    kind, _, content = picture.uri.partition(";base64,")
    return kind, base64.b64decode(content)


def contrast(one, other):
    def luminance(colour):
        channels = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_neutral_colours_follow_the_scheme_and_an_encoders_stays(inputs):
    picture = read("headline")
    kind, content = drawn(picture)
    text = content.decode()
    assert (kind, picture.width, picture.height, picture.light) == ("data:image/svg+xml", 96, 48, False)
    assert 'style="fill: var(--paper); stroke: var(--ink)"' in text and "stroke: #0072b2" in text
    light, dark = re.search(r":root\{(.*?)\}@media \(prefers-color-scheme: dark\)\{:root\{(.*?)\}\}", text).groups()
    assert light == "--ink:#222222;--paper:#ffffff"
    assert dark == f"--ink:{pictures.THEMES['dark']['ink']};--paper:{pictures.THEMES['dark']['paper']}"


def test_what_only_machines_read_is_left_out(inputs):
    text = drawn(read("headline"))[1].decode()
    assert not re.search(r"<\?xml|DOCTYPE|metadata|machines|<!--|http://www.w3.org/Graphics", text)
    assert text.startswith("<svg ") and text.endswith("</svg>\n")


def test_a_picture_with_pixels_inside_keeps_its_light_paper(inputs):
    path = Path("plots/figures/pca_maps.svg")
    path.write_text(PICTURE.replace("</svg>", '<image href="data:image/png;base64,AA=="/></svg>'))
    picture = read("pca_maps")
    assert picture.light and b"#222222" in drawn(picture)[1] and b"var(" not in drawn(picture)[1]


def test_pixels_where_they_are_smaller_and_only_when_asked(inputs):
    assert drawn(read("gains", small=True)) == ("data:image/png", b"pixels")
    Path("plots/figures/gains.png").write_bytes(bytes(5000))
    assert drawn(read("gains", small=True))[0] == "data:image/svg+xml"
    assert drawn(read("gains"))[0] == "data:image/svg+xml"


@pytest.mark.parametrize("colour", style.PALETTE)
def test_words_and_lines_can_be_seen_on_both_papers(colour):
    paper = {scheme: of["paper"] for scheme, of in pictures.THEMES.items()}
    drawing = PICTURE.replace("#0072b2", to_hex(style.word(colour)))
    declared = dict(re.findall(r"--([\w]+):(#\w{6})", pictures.themed(drawing).partition("prefers-color-scheme")[2]))
    (word,) = [value for name, value in declared.items() if name not in ("ink", "paper")] or [declared["ink"]]
    assert contrast(style.word(colour), paper["light"]) >= 4.5 and contrast(word, paper["dark"]) >= 4.5
    assert contrast(style.on_dark(colour), paper["dark"]) >= 3


@pytest.mark.parametrize("scheme", pictures.THEMES)
def test_text_of_the_page_has_contrast(scheme):
    theme = pictures.THEMES[scheme]
    for name in ("ink", "soft", "link"):
        assert contrast(theme[name], theme["paper"]) >= 4.5 and contrast(theme[name], theme["tint"]) >= 4.5
    assert contrast(theme["muted"], theme["paper"]) >= 4.5
