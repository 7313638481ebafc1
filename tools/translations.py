# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of the interface for translators, in Blender's Python: `.venv/blender/bin/python -m tools.translations`.

Collects them in the template and brings the catalogues into its order. With a translator's file and the name of the
language, `-m tools.translations FILE.po NAME`, it makes the catalogue dice_blender/languages/NAME.py of the file too.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy

from dice_core.body.kinds import KINDS
from dice_core.paths import ROOT

FOLDER = ROOT / "dice_blender" / "languages"
TEMPLATE = FOLDER / "template.pot"
# Where interface text stands in the sources, and what it looks like there; the first that fits counts.
PLACES = (
    ("dice_blender/(cli|languages/)", None),
    ("dice_blender/scene/", re.compile(r"[A-Z][^\n{}]*( [a-z']+,? [a-z']|\.$)[^\n{}]*")),  # not: names of things
    ("dice_blender/", re.compile(r"[A-Z][\w'-]*:? [^\n]*\S|[A-Z][a-z]+(-[A-Z][a-z]+)?")),
    ("dice_core/(engines|errors|installer|landmarks|media|result/(store|sequence|caches)|sequence|client|files|"
     "pipeline|protocol|runtime)",
     re.compile(r"[A-Z][^\n{}]*\.")),
)  # fmt: skip
NAMES = ("Strip", "Layer", "DICE Batch", "DICE Doctor")  # look like text in dice_blender
TRANSLATED = ("iface", "tip", "rpt")  # dice_blender/languages/words.py
TELLING = ("report", "say")  # of progress
STAGES = ("STAGES", "FIX")  # names of constants that hold stages of a capture
HEAD = """# The texts of DICE Capture's interface.
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"
"""
KINDS_OF_CLASSES = (bpy.types.Operator, bpy.types.Panel, bpy.types.PropertyGroup, bpy.types.AddonPreferences,
                    bpy.types.FileHandler)  # fmt: skip


def collect() -> dict[str, list[str]]:
    """Every text that Blender shows of us, and the files that it stands in. The extension must be registered."""
    by_file: dict[str, list[str]] = {}
    for cls in _classes():
        name = cls.__module__.partition(".")[2].replace(".", "/") + ".py"
        by_file.setdefault(name, []).extend(_of_class(cls))
    for path in sorted([*ROOT.glob("dice_blender/**/*.py"), *ROOT.glob("dice_core/**/*.py")]):
        name = path.relative_to(ROOT).as_posix()
        if pattern := next((pattern for place, pattern in PLACES if re.match(place, name)), None):
            by_file.setdefault(name, []).extend(_of_source(ast.parse(path.read_text(encoding="utf-8")), pattern))
    told = [(kind.source.licence, _upper(kind.title), kind.where) for kind in KINDS.values()]
    by_file["dice_core/body/kinds.py"] = [text for texts in told for text in texts]
    found: dict[str, list[str]] = {}
    for name, texts in sorted(by_file.items()):
        for text in dict.fromkeys(filter(None, texts)):
            if text not in NAMES:
                found.setdefault(text, []).append(name)
    return found


def _classes() -> list[type]:
    """Ours that are registered, as they stand in their files."""
    found = {cls for kind in KINDS_OF_CLASSES for cls in kind.__subclasses__() if cls.is_registered}
    ours = (cls for cls in found if cls.__module__.startswith("dice_capture."))
    return sorted(ours, key=lambda cls: (cls.__module__, list(vars(sys.modules[cls.__module__])).index(cls.__name__)))


def _of_class(cls: type) -> Iterator[str]:
    """What Blender translates by itself."""
    rna = cls.bl_rna
    yield getattr(cls, "bl_label", "")
    if issubclass(cls, bpy.types.Operator):
        rna = getattr(bpy.ops.dice, cls.bl_idname.removeprefix("dice.")).get_rna_type()
        yield rna.description
    yield getattr(cls, "bl_description", "")
    for name in getattr(cls, "__annotations__", {}):
        prop = rna.properties[name]
        if not prop.is_hidden:
            yield from (prop.name, prop.description)
            for item in prop.enum_items if prop.type == "ENUM" else ():
                yield from (item.name, item.description)


def _of_source(tree: ast.Module, pattern: re.Pattern) -> Iterator[str]:
    """Constants that look like text, and those that are said to be."""
    for node in _in_order(tree):
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and pattern.fullmatch(node.value):
                yield node.value
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in TRANSLATED:
            yield from _constants(node.args[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in TELLING:
            yield from (_upper(text) for argument in node.args for text in _constants(argument))
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in STAGES:
            yield from map(_upper, _constants(node.value))


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes as they stand in the file, without docstrings and the constant pieces of f-strings."""
    for child in ast.iter_child_nodes(node):
        constant = isinstance(child, ast.Constant)
        if not (constant and isinstance(node, ast.Expr | ast.JoinedStr)):
            yield child
            yield from _in_order(child)


def _constants(node: ast.expr) -> list[str]:
    nodes = node.elts if isinstance(node, ast.Tuple) else [node]
    return [part.value for part in nodes if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def template(texts: dict[str, list[str]]) -> str:
    """The gettext template."""
    entries = [HEAD]
    for text, files in texts.items():
        kind = "#, python-brace-format\n" if "{" in text else ""
        entries.append(f'#: {" ".join(files)}\n{kind}msgid {_quoted(text)}\nmsgstr ""\n')
    return "\n".join(entries)


def read_po(source: str) -> dict[str, str]:
    """The translations of a .po file, by the English text; doubtful ones (`fuzzy`) are left out."""
    texts = {}
    for entry in re.split(r"\n\s*\n", source):
        parts, key = {"msgid": "", "msgstr": ""}, ""
        for line in entry.splitlines():
            if found := re.fullmatch(r'(msgid|msgstr)?\s*"(.*)"\s*', line):
                key = found[1] or key
                parts[key] += json.loads(f'"{found[2]}"')
        if parts["msgid"] and not re.search(r"^#,.*\bfuzzy\b", entry, re.MULTILINE):
            texts[parts["msgid"]] = parts["msgstr"]
    return texts


def catalogue(name: str, english: dict[str, list[str]], known: dict[str, str]) -> str:
    """The Python module of a language: its texts in the template's order, empty where none is known."""
    lines = [f"    {_quoted(text)}: {_quoted(known.get(text, ''))}," for text in english]
    return "\n".join([
        "# SPDX-License-Identifier: GPL-3.0-or-later",
        "# ruff: noqa: E501",
        f'"""{name.title()}."""',
        "",
        "# fmt: off",
        "TEXTS: dict[str, str] = {",
        *lines,
        "}",
        "",
    ])  # fmt: skip


def catalogues() -> dict[str, dict[str, str]]:
    """The languages that there are, by the names of their modules."""
    paths = sorted(path for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "words"))
    return {path.stem: runpy.run_path(str(path))["TEXTS"] for path in paths}


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("po", nargs="?", type=Path, metavar="FILE.po", help="a translator's file")
    parser.add_argument("name", nargs="?", metavar="NAME", help="the language, in English: french")
    options = parser.parse_args()
    if options.po and not options.name:
        parser.error("name the language too")
    from tools.demo_scene import load_extension

    load_extension()
    sys.modules["dice_capture"].register()
    english, known = collect(), catalogues()
    if options.po:
        known[options.name.lower()] = read_po(options.po.read_text(encoding="utf-8"))
    TEMPLATE.write_text(template(english), encoding="utf-8")
    for name, texts in known.items():
        (FOLDER / f"{name}.py").write_text(catalogue(name, english, texts), encoding="utf-8")
        print(f"{name}: {sum(not texts.get(text) for text in english)} of {len(english)} texts lack a translation")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # Blender's module sometimes hangs when the interpreter ends in the usual way
