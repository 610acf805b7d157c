"""What a reader finds on the report page: its elements, tables, findings, figures and facts."""

import re
from html import unescape
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "col", "input"}


class Document(HTMLParser):
    """Every element with its attributes and its text, in order, and the errors of nesting."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.faults = [], [], []
        self.feed(html)
        self.faults += [f"<{name}> is never closed" for name, _, _ in self.open]

    def handle_starttag(self, tag, attributes):
        element = (tag, dict(attributes), [])
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")
        else:
            self.open.pop()

    def handle_data(self, data):
        for _, _, text in self.open:
            text.append(data)

    def all(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]

    def texts(self, tag):
        return [plain(text) for name, _, text in self.elements if name == tag]


def plain(pieces):
    """Text with single spaces, unbreakable ones too."""
    return " ".join("".join(pieces).split())


def section(html, start, end="</section>"):
    """The HTML from a piece of text to the next end."""
    return start + html.partition(start)[2].partition(end)[0] + end


def definitions(html):
    """A definition list as {term: text}."""
    document, found, term = Document(html), {}, ""
    for tag, _, text in document.elements:
        if tag == "dt":
            term = plain(text)
        elif tag == "dd":
            found[term] = plain(text)
    return found


def findings(html):
    """The findings as {title: text}."""
    return definitions(section(html, '<dl class="findings">', "</dl>"))


def facts(html, heading):
    """The facts below a heading of the third level, as {name: text}."""
    return definitions(section(html, f"<h3>{heading}</h3>", "<h3>"))


def figures(html):
    """The figures as {title: (reading, alternative text)}."""
    parts = [Document(part) for part in html.split("<figure>")[1:]]
    titles = [next(plain(text) for tag, _, text in part.elements if tag in ("h3", "h4")) for part in parts]
    return {
        title: (part.texts("figcaption")[0], part.all("img")[0]["alt"])
        for title, part in zip(titles, parts, strict=True)
    }


class Table:
    """A table: its caption, headings with their notes, and rows as (group, heading, list of (text, note))."""

    def __init__(self, html, name):
        part = section(html, f'<caption id="table-{name}">', "</table>")
        self.caption = plain(part.partition("<span>")[2].partition("</span>")[0])
        head, *bodies = part.partition("</caption>")[2].partition("</thead>")[::2]
        self.columns = [_cell(cell) for cell in head.rpartition("<tr>")[2].split("</th>")[1:-1]]
        self.spans = [(int(cell["colspan"]), text) for cell, text in _attributes(head, "th") if "colspan" in cell]
        self.rows, group = [], ""
        for row in bodies[0].split("<tr")[1:]:
            heading, *cells = row.replace("</th>", "</td>").split("</td>")[:-1]
            if 'class="group"' in row:
                group = _cell(heading.partition(">")[2])[0]
            else:
                self.rows.append((group, _cell(heading.partition(">")[2])[0], [_cell(cell) for cell in cells]))

    def row(self, heading, group="", *, notes=False):
        """{heading of the column: text, or note} of a row."""
        (cells,) = [cells for of, name, cells in self.rows if (of, name) == (group, heading)]
        return {column: cell[notes] for (column, _), cell in zip(self.columns, cells, strict=True)}


def _cell(html):
    """(text, note) of a cell."""
    text, _, note = html.partition("<small>")
    return tuple(plain(unescape(re.sub("<[^>]*>", "", part))) for part in (text, note))


def _attributes(html, tag):
    return [(attributes, plain(text)) for name, attributes, text in Document(html).elements if name == tag]
