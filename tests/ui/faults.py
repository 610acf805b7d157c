"""What can be wrong with a page, found in the browser that shows it.

Every function takes the page and returns a list of lines, each of them one fault; an empty list means that all is well.
"""

import json
from importlib.resources import files

_GRAVE = ("serious", "critical")

# Every player's length in seconds, or why it has none
_LENGTHS = """() => Promise.all([...document.querySelectorAll('audio')].map(player => new Promise(done => {
    const printed = () => done(player.error ? player.error.message || `error ${player.error.code}` : player.duration)
    player.addEventListener('loadedmetadata', printed)
    player.addEventListener('error', printed)
    player.querySelectorAll('source').forEach(source => source.addEventListener('error', () => done('no source')))
    player.preload = 'metadata'
    player.load()
    setTimeout(() => done('nothing within 10 s'), 10000)
})))"""
# How far a player gets, or why it does not start
_PLAYED = """async player => {
    player.muted = true
    try { await player.play() } catch (error) { return String(error) }
    const from = Date.now()
    while (player.currentTime <= 0.1 && !player.ended && Date.now() - from < 10000)
        await new Promise(requestAnimationFrame)
    player.pause()
    return player.currentTime
}"""
# Pictures that do not show: what they are and why
_UNSEEN = """async () => {
    const bad = []
    for (const picture of document.querySelectorAll('img')) {
        const name = picture.id || picture.alt || picture.src.slice(0, 60)
        picture.loading = 'eager'
        await picture.decode().catch(() => {})
        if (!picture.naturalWidth) bad.push(`${name}: does not load`)
        if (!picture.alt.trim()) bad.push(`${name}: no alternative text`)
    }
    for (const figure of document.querySelectorAll('figure')) {
        const parts = [...figure.querySelectorAll('img, svg, audio, table')]
        if (!parts.some(part => part.checkVisibility() && part.getBoundingClientRect().width > 0))
            bad.push(`figure ${figure.id || figure.innerText.slice(0, 60)}: nothing to see`)
    }
    return bad
}"""
# What sticks out to the right of the page and cannot be scrolled to within its own box
_OVERFLOW = """() => {
    const root = document.documentElement
    if (root.scrollWidth <= root.clientWidth) return []
    const scrolls = part => {
        for (let box = part.parentElement; box && box !== document.body; box = box.parentElement)
            if (getComputedStyle(box).overflowX !== 'visible') return true
        return false
    }
    const out = [...document.body.querySelectorAll('*')].filter(
        part => part.getBoundingClientRect().right > root.clientWidth + 1 && !scrolls(part))
    return [`${root.scrollWidth} px in ${root.clientWidth}`, ...out.slice(0, 8).map(part =>
        `${part.tagName.toLowerCase()}.${part.className} ends at ${Math.round(part.getBoundingClientRect().right)}: ` +
        (part.innerText || part.outerHTML).slice(0, 60))]
}"""


def unfold(page):
    """Open everything that is folded away."""
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")


def of_pictures(page):
    """Images that do not load or have no alternative text, figures in which nothing is seen."""
    return page.evaluate(_UNSEEN)


def of_width(page):
    """What makes the page wider than the window."""
    return page.evaluate(_OVERFLOW)


def of_players(page):
    """Players without a length, and the first and the last where they do not play."""
    lengths = page.evaluate(_LENGTHS)
    bad = [f"player {i}: {length}" for i, length in enumerate(lengths, start=1) if not _is_time(length)]
    players = page.locator("audio")
    for name in ("first", "last") if lengths else ():
        reached = getattr(players, name).evaluate(_PLAYED)
        if not _is_time(reached):
            bad.append(f"the {name} player does not play: {reached}")
    return bad


def _is_time(seconds):
    return isinstance(seconds, int | float) and seconds > 0.1


def of_access(page):
    """What axe-core finds serious or critical: rule, element and what to mend."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {json.dumps(node['target'])} {node['html'][:150]}: "
        + " ".join(node["failureSummary"].split())[:300]
        for rule in found if rule["impact"] in _GRAVE for node in rule["nodes"]
    ]  # fmt: skip
