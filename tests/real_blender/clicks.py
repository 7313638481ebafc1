# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's way through the panel, by mouse and keyboard: `blender -P clicks.py -- FOLDER PICTURE LONG SLOW`.

A screenshot of each step and report.json go to FOLDER. It ends by quitting Blender while a capture runs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import bpy

sys.path.append(str(Path(__file__).parents[2] / "tools" / "window"))
import driver  # noqa: E402

NAME = "bl_ext.user_default.dice_capture"
FOLDER, PICTURE, LONG, SLOW = (Path(argument) for argument in sys.argv[sys.argv.index("--") + 1 :])
facts: dict = {"ticks": [], "draws": []}


def jobs() -> object:
    return sys.modules[f"{NAME}.dice_blender.jobs"]


def timed(function: Callable, into: str) -> Callable:
    """The same function, its milliseconds noted."""

    @wraps(function)
    def run(*arguments: object) -> object:
        began = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            facts[into].append(round(1000 * (time.perf_counter() - began), 2))

    return run


def time_ourselves() -> None:
    """Note how long Blender waits for us whenever a job's timer fires, and whenever a panel of ours is drawn."""
    jobs().tick = timed(jobs().tick, "ticks")
    panels = sys.modules[f"{NAME}.dice_blender.panels"]
    panels.unregister()  # Blender calls what was there when a class was registered
    for panel in panels.CLASSES:
        panel.draw = timed_draw(panel.draw)
    panels.register()


def timed_draw(draw: Callable) -> Callable:
    """Blender counts the arguments."""
    run = timed(draw, "draws")

    def counted(self: bpy.types.Panel, context: bpy.types.Context) -> None:
        run(self, context)

    return counted


def objects() -> list[str]:
    return sorted(bpy.data.objects.keys())


def deformation() -> bpy.types.ShapeKey:
    """Of the capture that the panel shows."""
    (head,) = (item for item in bpy.context.scene.dice.result.objects if item.get("dice_part") == "head")
    return head.data.shape_keys.key_blocks["Deformation"]


def shot(name: str) -> driver.Steps:
    yield from driver.screenshot(FOLDER / f"{name}.png")


def choose(picture: Path) -> driver.Steps:
    """Type a path into the panel's field."""
    yield from driver.find("dice.filepath")
    yield from driver.click(times=2)
    yield from driver.write(str(picture))
    assert bpy.context.scene.dice.filepath == str(picture)


def capture() -> driver.Steps:
    before = jobs().state.began
    yield from driver.find("bpy.ops.dice.capture(")
    yield from driver.click()
    assert jobs().state.began > before, "the button started nothing"


def idle() -> bool:
    return jobs().state.job is None


def steps() -> driver.Steps:
    for item in list(bpy.data.objects):  # the start-up file's cube would hide the head
        bpy.data.objects.remove(item)
    bpy.context.preferences.view.use_save_prompt = False
    bpy.ops.ed.undo_push(message="Clear")
    time_ourselves()
    yield 0.5
    yield from driver.open_tab("VIEW_3D", "DICE")
    yield from shot("1 panel")
    yield from choose(PICTURE)
    yield from shot("2 chosen")
    yield from capture()
    yield from driver.wait_for(idle)
    facts["captured"], facts["notice"] = objects(), str(jobs().state.notice or "")
    yield from shot("3 captured")
    yield from cancelled()
    yield from choose(PICTURE)
    yield from capture()
    yield from driver.wait_for(idle)
    facts["again"] = objects()
    yield from driver.over_view()
    yield from driver.press("ctrl+z")
    facts["undone"] = objects()
    yield from shot("6 undone")
    yield from driver.press("ctrl+shift+z")
    facts["redone"] = objects()
    yield from shot("7 redone")
    yield from slider()
    yield from choose(SLOW)
    yield from capture()
    yield 1.0
    yield from shot("9 quitting")
    facts["quit_during"] = jobs().state.job.stage
    (FOLDER / "report.json").write_text(json.dumps(facts))
    yield from driver.over_view()
    yield from driver.press("ctrl+q")
    yield 60.0
    facts["quit_during"] = "Ctrl-Q did nothing"


def cancelled() -> driver.Steps:
    """Watch the progress of a long capture, and end it with X."""
    yield from choose(LONG)
    yield from capture()
    yield 1.0
    yield from shot("4 progress")
    yield from driver.find("bpy.ops.dice.cancel(", across=0.83)
    began = time.monotonic()
    yield from driver.click()
    yield from driver.wait_for(idle)
    facts["cancel_seconds"] = round(time.monotonic() - began, 2)
    facts["cancelled"] = str(jobs().state.notice)
    yield from shot("5 cancelled")


def slider() -> driver.Steps:
    yield from driver.find('key_blocks["Deformation"].value', across=0.6)
    yield from driver.click(times=2)
    yield from driver.write("3")
    facts["deformation"] = deformation().value
    yield from shot("8 exaggerated")


driver.play(steps(), FOLDER / "report.json", facts)
