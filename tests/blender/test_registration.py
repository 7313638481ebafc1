# SPDX-License-Identifier: GPL-3.0-or-later
"""Registering and unregistering, and manners: tooltips, ids, silence."""

from __future__ import annotations

from types import ModuleType

import bpy
import pytest

KINDS = (bpy.types.Operator, bpy.types.Panel, bpy.types.PropertyGroup, bpy.types.AddonPreferences)


def ours() -> set[type]:
    found = {cls for kind in KINDS for cls in kind.__subclasses__()}
    return {cls for cls in found if cls.__name__.startswith("DICE_") and cls.is_registered}


def traces() -> list[object]:
    """Our handlers and menu entries."""
    lists = [getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers)]
    found = [handler for handlers in lists if isinstance(handlers, list) for handler in handlers]
    found += bpy.types.TOPBAR_MT_file_import.draw._draw_funcs
    return [thing for thing in found if thing.__module__.startswith("dice_capture")]


def test_twice_on_and_off_leaves_nothing(extension: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    counts = set()
    for _ in range(2):
        extension.register()
        counts.add((len(ours()), len(traces())))
        assert len(ours()) > 15 and len(traces()) > 2
        assert hasattr(bpy.types.Scene, "dice")
        extension.unregister()
        assert not ours()
        assert not traces()
        assert not hasattr(bpy.types.Scene, "dice")
    assert len(counts) == 1
    printed = capsys.readouterr()
    assert not printed.out and not printed.err


def test_everything_says_what_it_does(registered: ModuleType) -> None:
    for cls in ours():
        operator = issubclass(cls, bpy.types.Operator)
        if operator:  # Blender adds the full stop
            assert cls.__doc__ and not cls.__doc__.endswith(".")
        rna = getattr(bpy.ops.dice, cls.bl_idname.removeprefix("dice.")).get_rna_type() if operator else cls.bl_rna
        for name in getattr(cls, "__annotations__", {}):
            prop = rna.properties[name]
            assert prop.is_hidden or (prop.description and not prop.description.endswith(".")), f"{cls.__name__}.{name}"


@pytest.mark.parametrize(
    ("operator", "name", "values"),
    [("dice.show", "what", ("SKIN", "CONTACT")), ("dice.install", "repair", (False, True))],
)
def test_buttons_of_one_operator_say_different_things(
    registered: ModuleType, operator: str, name: str, values: tuple[object, ...]
) -> None:
    (cls,) = (cls for cls in ours() if getattr(cls, "bl_idname", "") == operator)
    properties = bpy.context.window_manager.operator_properties_last(operator)
    texts = set()
    for value in values:
        setattr(properties, name, value)
        texts.add(cls.description(bpy.context, properties))
    assert len(texts) == 2 and all(texts)


def test_the_operators_can_be_found(registered: ModuleType) -> None:
    operators = [cls for cls in ours() if issubclass(cls, bpy.types.Operator)]
    found = {cls.bl_idname for cls in operators if "INTERNAL" not in getattr(cls, "bl_options", ())}
    assert found >= {
        "dice.capture", "dice.cancel", "dice.import_result", "dice.show", "dice.install", "dice.remove_runtime",
        "dice.delete", "dice.capture_file", "dice.contact_threshold", "dice.save_result",
        "dice.batch",
    }
