# SPDX-License-Identifier: GPL-3.0-or-later
"""A page to leaf through the cases of a benchmark: pictures and figures, sorted by any figure. Needs no server."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dice_core.evaluate.comparison import Case
from dice_core.evaluate.report import Report
from dice_core.files import atomic
from dice_core.media.decode import read_picture
from dice_core.result.store import load
from tools.benchmark.panels import BOTH, SAID_ONLY, TRUE_ONLY, jpeg, panels

FIRST = "hand_rel_head_mm"  # what the cases are sorted by at first
LEGEND = {"touches, and was found": BOTH, "touches, was not found": TRUE_ONLY, "does not touch": SAID_ONLY}
STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 0; background: #26282c; color: #e6e6e6 }
header { position: sticky; top: 0; padding: 8px 16px; background: #1c1e21; z-index: 1 }
article { padding: 12px 16px; border-top: 1px solid #444; scroll-margin-top: 60px }
.pictures { display: flex; flex-wrap: wrap; gap: 6px } figure { margin: 0 } figcaption { font-size: 12px }
h2 { font-size: 16px; margin: 0 0 6px } h2 span { font-weight: normal; color: #b0b0b0 }
dl { columns: 260px; font-size: 12px; margin: 6px 0 } dl div { display: flex; justify-content: space-between;
gap: 8px; break-inside: avoid } dd { margin: 0; font-variant-numeric: tabular-nums } .lost { color: #ff9a70 }
"""
SCRIPT = """
const by = document.querySelector('#by'), up = document.querySelector('#up'), list = document.querySelector('main');
const figure = card => JSON.parse(card.dataset.figures)[by.value] ?? null;
function sort() {
  const sign = up.checked ? 1 : -1, cards = [...list.children];
  const last = (a, b) => (a === null) - (b === null);
  const order = (a, b) => typeof a === 'string' ? a.localeCompare(b) : a - b;
  const compare = (x, y) => last(x, y) || (x === null ? 0 : sign * order(x, y));
  cards.sort((a, b) => compare(figure(a), figure(b)));
  list.append(...cards); scrollTo(0, 0);
}
by.onchange = up.onchange = sort; sort();
onkeydown = event => {
  const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
  if (!step || event.target.tagName === 'SELECT') return;
  const cards = [...list.children], at = cards.findIndex(card => card.getBoundingClientRect().bottom > 70);
  cards[at + step]?.scrollIntoView(); event.preventDefault();
};
"""


def write_page(
    target: Path, folder: Path, truths: dict[str, Path], found: dict[str, Path], report: Report, tags: dict[str, Any]
) -> None:
    """Write index.html and its pictures.

    Parameters
    ----------
    target
        Where they go.
    folder, truths, found
        The pictures, the truth and the predictions by case.
    report, tags
        The figures, and what else is known of the cases.
    """
    cards = []
    for case in report.cases:
        frame = read_picture(folder / f"{case.name}.jpg")
        prediction = load(found[case.name]) if case.name in found else None
        links = {}
        for number, (title, pixels) in enumerate(panels(frame, load(truths[case.name]), prediction).items()):
            path = Path("pictures") / f"{case.name}-{number}.jpg"
            with atomic(target / path) as temporary:
                temporary.write_bytes(jpeg(pixels))
            links[title] = path.as_posix()
        cards.append(card(case, links, tags.get(case.name)))
    with atomic(target / "index.html") as temporary:
        temporary.write_text(page(report, cards), encoding="utf-8")


def page(report: Report, cards: list[str]) -> str:
    """The whole page."""
    names = sorted({name for case in report.cases for name in case.figures})
    choices = "".join(f"<option{' selected' * (name == FIRST)}>{escape(name)}</option>" for name in ["name", *names])
    values = report.summary.values.items()
    sums = "".join(_row(name, value) for name, value in values)
    legend = ", ".join(f'<b style="color: rgb{color}">&#9632;</b> {text}' for text, color in LEGEND.items())
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Benchmark</title><style>{STYLE}</style>
<header><label>sort by <select id="by">{choices}</select></label>
<label><input type="checkbox" id="up"> smallest first</label> &nbsp; left and right arrow keys leaf &nbsp; {legend}
<details><summary>{len(report.cases)} cases</summary><dl>{sums}</dl></details></header>
<main>{"".join(cards)}</main>
<script>{SCRIPT}</script></html>
"""


def card(case: Case, links: dict[str, str], tags: Any = None) -> str:
    """One case: its name, what was said of contact, pictures by title, figures."""
    known = tags.items() if isinstance(tags, dict) else []
    words = [f"{key}: {value}" for key, value in known if isinstance(value, str | int | float) and key != "name"]
    state = f"truth: {case.truth}, said: {case.answer}" + (", wrong side" if case.wrong_side else "")
    lost = f' <span class="lost">missing: {escape(", ".join(case.missing))}</span>' if case.missing else ""
    pictures = "".join(
        f'<figure><img loading="lazy" src="{escape(quote(link))}" alt=""><figcaption>{escape(title)}</figcaption>'
        "</figure>"
        for title, link in links.items()
    )
    data = escape(json.dumps({"name": case.name} | case.figures))
    figures = "".join(_row(name, value) for name, value in case.figures.items() if value is not None)
    return (
        f'<article data-figures="{data}"><h2>{escape(case.name)} <span>{escape("; ".join([state, *words]))}</span>'
        f'{lost}</h2><div class="pictures">{pictures}</div><details><summary>figures</summary><dl>{figures}</dl>'
        "</details></article>\n"
    )


def _row(name: str, value: float | None) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{'-' if value is None else f'{value:.3f}'}</dd></div>"
