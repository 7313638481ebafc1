# SPDX-License-Identifier: GPL-3.0-or-later
"""The template for translators and the catalogues. Blender's own reader of .po files judges ours."""

from __future__ import annotations

import importlib
import re
import string
from pathlib import Path
from types import ModuleType, SimpleNamespace

import bpy
import pytest
from dice_capture.dice_blender import api, jobs, languages, preferences
from dice_capture.dice_blender.panels import main, official, result, runtime, sequence
from dice_capture.dice_blender.sequence_job import SequenceJob
from dice_capture.dice_core.errors import DiceError
from drawing import Layout, context
from synthetic import capture

from tools import translations
from tools.made_up_sequence import write

UPDATE = "run `.venv/blender/bin/python -m tools.translations` and fill in what it says is missing"
KNOWN = translations.catalogues()


def po_reader() -> ModuleType:
    """Blender's; its name changed in 5.0."""
    name = "_bl_i18n_utils.utils" if bpy.app.version >= (5, 0) else "bl_i18n_utils.utils"
    return importlib.import_module(name)


def read(path: Path) -> object:
    messages = po_reader().I18nMessages(uid="x", kind="PO", key="x", src=str(path))
    assert not messages.parsing_errors
    return messages


def placeholders(text: str) -> list[tuple[str, str]]:
    """Of a format string: names and formats."""
    return sorted((name, form) for _, name, form, _ in string.Formatter().parse(text) if name is not None)


def test_the_template_is_up_to_date(registered: ModuleType) -> None:
    assert translations.TEMPLATE.read_text(encoding="utf-8") == translations.template(translations.collect()), UPDATE


@pytest.mark.parametrize("name", KNOWN)
def test_a_language_has_every_text_and_no_others(name: str) -> None:
    template = [text for _, text in read(translations.TEMPLATE).msgs if text]
    assert len(template) > 300
    assert list(KNOWN[name]) == template, UPDATE
    assert [text for text, translated in KNOWN[name].items() if not translated.strip()] == [], UPDATE


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_filled_in_agrees(name: str) -> None:
    for text, translated in KNOWN[name].items():
        if "{" in text or "{" in translated:
            assert placeholders(translated) == placeholders(text), text
        else:
            assert translated.count("%") == text.count("%"), text
        assert translated.endswith(".") == text.endswith(".") or text.endswith("..."), text


def test_every_catalogue_is_used() -> None:
    assert sorted(map(list, languages.CATALOGUES.values())) == sorted(map(list, KNOWN.values()))


def test_what_panels_show_is_in_the_template(
    registered: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filled in where it has gaps; numbers and paths need no translation."""
    texts = [text for _, text in read(translations.TEMPLATE).msgs if text]
    gaps = [re.sub(r"\\\{.*?\}", ".+", re.escape(text)) for text in texts]
    known = re.compile(rf"(\w+: )?({'|'.join(gaps)})|[\d/.].*|.*\.(pkl|pt|npy|bin)")
    write(tmp_path / "clip", 3, phase=0.4)
    layout, place = Layout(), context(width=5000)  # no line is wrapped
    api.import_sequence(tmp_path / "clip")["dice_notes"] = ""
    result.DICE_PT_result.draw(SimpleNamespace(layout=layout), place)
    api.import_capture(capture())
    bpy.context.scene.dice.result["dice_quality"] = dict.fromkeys(result.LABELS, 0.5)
    monkeypatch.setattr(jobs.state, "notice", DiceError("The capture was cancelled.", "Check the path."))
    for panel in (result.DICE_PT_result, result.DICE_PT_quality):
        panel.draw(SimpleNamespace(layout=layout), place)
    official.draw_official(layout, place, SimpleNamespace(show_official=True))
    for installed in (True, False):
        monkeypatch.setattr(preferences, "is_installed", lambda installed=installed: installed)
        runtime.draw_runtime(layout, place)
    layout.label(text=main._device("open"))
    settings = place.scene.dice.sequence
    settings.filepath, settings.rate, settings.count = "clip.mp4", 30.0, 9
    sequence.DICE_PT_sequence.draw(SimpleNamespace(layout=layout), place)
    job = SequenceJob.__new__(SequenceJob)
    job.stage, job.fraction, job.cancelling, job.frame, job.count, job.fps = "landmarks", 0.5, False, 1, 9, 0.0
    monkeypatch.setattr(jobs.state, "job", job)
    for job.fps in (0.0, 12.5):
        sequence.DICE_PT_sequence.draw(SimpleNamespace(layout=layout), place)
    assert len(layout.texts) > 30
    assert [text for text in layout.texts if not known.fullmatch(text)] == []


def test_a_translators_file_is_read(tmp_path: Path) -> None:
    messages = read(translations.TEMPLATE)
    expected = {}
    for (_, text), message in messages.msgs.items():
        if text:
            message.msgstr = expected[text] = "\n".join(['"Ä" ' + text] * 3)
    messages.write("PO", str(tmp_path / "x.po"))
    assert translations.read_po((tmp_path / "x.po").read_text(encoding="utf-8")) == expected


def test_what_a_translator_doubts_is_left_out() -> None:
    source = """
#, fuzzy
msgid "Doubtful"
msgstr "Zweifelhaft"

# A remark that says "fuzzy"
msgid ""
"In two "
"pieces"
msgstr ""
"In zwei "
"Stücken"

#~ msgid "Gone"
#~ msgstr "Weg"
"""
    assert translations.read_po(source) == {"In two pieces": "In zwei Stücken"}


def test_a_catalogue_is_a_module_of_the_template_s_texts() -> None:
    texts = {'Say "yes"': ["a.py"], "C:\\folder": ["b.py"]}
    made: dict = {}
    exec(translations.catalogue("french", texts, {'Say "yes"': "Dire « oui »", "Old": "Vieux"}), made)
    assert made["TEXTS"] == {'Say "yes"': "Dire « oui »", "C:\\folder": ""}
