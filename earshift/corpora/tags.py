"""What can truly be said of an excerpt of a composed piece, all at once: its tags.

Conventions
-----------
An instrument is a tag where it plays within the excerpt, whether it predominates or accompanies: by the name of its
class where it belongs to one (``guitar_acc``), else by a plain word, and by its family. What few pieces have (a harp, a
tuba) is known by its family alone or not at all, and as every piece has a bass, a bass by its kind. The other tags hold
for the whole piece: genre, tempo where it is slow or fast, how the predominant part is set. Major and minor are no
tags, for hardly anything that is averaged over a clip tells them apart.
"""

from earshift.corpora.score import INSTRUMENTS, Part, Score, Style

DRUMS, ACOUSTIC = "drums", "acoustic"
_INSTRUMENTS = {instrument.label: set(instrument.programs) for instrument in INSTRUMENTS.values()} | {
    "acoustic bass": {32},
    "double bass": {43},
    "electric bass": {33, 34, 35},
    "harpsichord": {6},
    "strings": {44, 48, 49},
    "synthesizer": {38, 50, 89},
    "vibraphone": {11},
}
_FAMILIES = {
    "bowed": {40, 42, 43, 44, 48, 49},
    "free reed": {21, 22},  # accordion, harmonica
    "plucked": {6, 24, 25, 46, 105},  # acoustic ones: harpsichord, guitars, harp, banjo
    "wind": {56, 58, 59, 64, 65, 66, 67, 70, 71, 73},
}
_ELECTRIC = {4, *range(16, 19), *range(26, 31), 33, 34, 35, 38, 50, 89}  # programs that need a plug
_SLOW, _FAST = 100, 126  # beats per minute: slow is below, fast from here on
_AUDIBLE = 0.1  # s that a part must play in an excerpt to be heard there


def tags(score: Score, style: Style, *, start: float, stop: float) -> tuple[str, ...]:
    """Tags of what sounds between two moments of a piece.

    Parameters
    ----------
    score : Score
    style : Style
    start, stop : float, s

    Returns
    -------
    tuple of str, sorted
    """
    heard = [part for part in (score.lead, *score.accompaniment) if _seconds(part, start, stop) >= _AUDIBLE]
    found = {style.name, score.texture}
    if not _SLOW <= score.tempo < _FAST:
        found.add("slow" if score.tempo < _SLOW else "fast")
    programs = {part.program for part in heard if not part.drums}
    found |= {word for words in (_INSTRUMENTS, _FAMILIES) for word, players in words.items() if players & programs}
    if any(part.drums for part in heard):
        found.add(DRUMS)
    if not programs & _ELECTRIC:
        found.add(ACOUSTIC)
    return tuple(sorted(found))


def _seconds(part: Part, start: float, stop: float) -> float:
    """How long the notes of a part last in an excerpt, all together."""
    return sum(max(min(end, stop) - max(begin, start), 0.0) for begin, end, *_ in part.notes)
