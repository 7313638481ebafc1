# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in Blender's window: `blender -P window.py -- REPORT.json SCREENSHOT.png PICTURE [CANCELLED CRASHING MORE...]`.

Captures the picture through the operator, as the button does, while a timer of its own watches whether Blender keeps
running; undoes and redoes it; cancels a second picture and lets a third one's process die; captures the others in one
go; takes a screenshot after each; writes what happened and quits.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import bpy
from mathutils import Euler

NAME = "bl_ext.user_default.dice_capture"
TICK = 0.02
REPORT, SCREENSHOT, PICTURE, *OTHERS = sys.argv[sys.argv.index("--") + 1 :]
report: dict = {}
beats: list[float] = []


def jobs() -> object:
    return sys.modules[f"{NAME}.dice_blender.jobs"].state


def view() -> tuple[bpy.types.Area, bpy.types.SpaceView3D]:
    areas = [area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D"]
    area = max(areas, key=lambda area: area.width * area.height)
    return area, area.spaces.active


def screenshot(suffix: str = "") -> Iterator[float]:
    for area in bpy.context.window_manager.windows[0].screen.areas:
        area.tag_redraw()
    yield 1.0
    path = Path(SCREENSHOT)
    subprocess.run(["import", "-window", "root", str(path.with_stem(path.stem + suffix))], check=True)


def capture(path: str) -> None:
    bpy.context.scene.dice.filepath = bpy.path.relpath(path)
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        assert bpy.ops.dice.capture() == {"FINISHED"}


def finished(seconds: float = 120.0) -> Iterator[float]:
    deadline = time.monotonic() + seconds
    while jobs().job is not None:
        assert time.monotonic() < deadline, "the job takes too long"
        yield TICK


def open_tab() -> Iterator[float]:
    area, space = view()
    space.show_region_ui = True
    yield 0.5
    region = next(region for region in area.regions if region.type == "UI")
    region.active_panel_category = "DICE"
    yield 0.5


def steps() -> Iterator[float]:
    yield 1.0
    for item in list(bpy.data.objects):  # the start-up file's cube would hide the head
        bpy.data.objects.remove(item)
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(REPORT).with_suffix(".blend")))
    bpy.ops.ed.undo_push(message="Clear")
    yield from open_tab()
    began = time.monotonic()
    capture(PICTURE)
    beats.clear()
    stages = {}
    for pause in finished():
        stages.setdefault(jobs().job.stage, round(time.monotonic() - began, 2))
        yield pause
    report["seconds"] = round(time.monotonic() - began, 2)
    report["largest_gap"] = round(max(b - a for a, b in zip(beats, beats[1:], strict=False)), 3)
    report["stages"] = stages
    report["error"] = str(jobs().notice or "")
    report["objects"] = sorted(bpy.data.objects.keys())
    report["redo_panel"] = bpy.context.window_manager.operators[-1].bl_idname
    report["perspective"] = view()[1].region_3d.view_perspective
    yield from screenshot()
    if not OTHERS:
        yield from side_by_side()
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window):
        bpy.ops.ed.undo()
    report["after_undo"] = sorted(bpy.data.objects.keys())
    yield 0.5
    with bpy.context.temp_override(window=window):
        bpy.ops.ed.redo()
    report["after_redo"] = sorted(bpy.data.objects.keys())
    yield 0.5
    if OTHERS:
        yield from misfortunes(*OTHERS)


def side_by_side() -> Iterator[float]:
    """The picture for the documentation: over the photograph on the left, from aside on the right."""
    window = bpy.context.window_manager.windows[0]
    area, space = view()
    space.show_region_ui = False
    with bpy.context.temp_override(window=window, area=area, region=area.regions[-1]):
        bpy.ops.screen.area_split(direction="VERTICAL", factor=0.4)
    areas = sorted((area for area in window.screen.areas if area.type == "VIEW_3D"), key=lambda area: area.x)
    yield 0.5
    for item in bpy.context.selected_objects:
        item.select_set(False)
    for area in areas:
        space = area.spaces.active
        for name in ("show_floor", "show_axis_x", "show_axis_y", "show_cursor", "show_text", "show_object_origins"):
            setattr(space.overlay, name, False)
        space.show_gizmo = space.show_region_toolbar = False
    right = areas[1]
    right.spaces.active.show_region_ui = True
    right.spaces.active.overlay.show_extras = False
    turn = right.spaces.active.region_3d
    turn.view_perspective = "PERSP"
    turn.view_rotation = Euler((1.45, 0.0, -0.75)).to_quaternion()
    turn.view_location, turn.view_distance = (0.06, 0.03, 0.08), 0.5
    yield 0.5
    next(region for region in right.regions if region.type == "UI").active_panel_category = "DICE"
    left = next(region for region in areas[0].regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=areas[0], region=left):
        bpy.ops.view3d.view_center_camera()
    yield 0.5
    yield from screenshot("-side-by-side")


def several(pictures: tuple[str, ...]) -> Iterator[float]:
    before = sorted(bpy.data.collections.keys())
    window = bpy.context.window_manager.windows[0]
    files = [{"name": Path(path).name} for path in pictures]
    with bpy.context.temp_override(window=window):
        assert bpy.ops.dice.batch(directory=str(Path(pictures[0]).parent), files=files) == {"FINISHED"}
    stages = set()
    for pause in finished():
        stages.add(jobs().job.stage)
        yield pause
    report["batch"] = sorted(set(bpy.data.collections.keys()) - set(before))
    report["batch_stages"] = sorted(stages)
    report["batch_message"] = str(jobs().notice)
    yield from screenshot("-batch")
    for _ in report["batch"]:  # a step each
        with bpy.context.temp_override(window=window):
            bpy.ops.ed.undo()
        yield 0.2
    report["batch_undone"] = sorted(bpy.data.collections.keys()) == before
    yield 0.5


def misfortunes(cancelled: str, crashing: str, *pictures: str) -> Iterator[float]:
    capture(cancelled)
    yield 1.0
    yield from screenshot("-running")
    began = time.monotonic()
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        bpy.ops.dice.cancel()
    yield from finished()
    report["cancel_seconds"] = round(time.monotonic() - began, 2)
    report["cancel_message"] = str(jobs().notice)
    capture(crashing)
    yield from finished()
    report["crash_message"] = str(jobs().notice)
    report["at_the_end"] = sorted(bpy.data.objects.keys())
    yield from screenshot("-crash")
    yield from several(pictures)
    bpy.context.preferences.addons[NAME].preferences.runtime = str(Path(REPORT).with_name("nothing here"))
    yield from screenshot("-missing")
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window, area=window.screen.areas[0]):
        window.screen.areas[0].type = "PREFERENCES"
        bpy.context.preferences.active_section = "ADDONS"
        bpy.context.window_manager.addon_search = "DICE"
        bpy.ops.preferences.addon_expand(module=NAME)
    yield from screenshot("-preferences")


work = steps()


def step() -> float | None:
    try:
        return next(work)
    except StopIteration:
        pass
    except BaseException:
        report["exception"] = traceback.format_exc()
    Path(REPORT).write_text(json.dumps(report))
    bpy.ops.wm.quit_blender()
    return None


def beat() -> float:
    beats.append(time.monotonic())
    return TICK


bpy.app.timers.register(step, first_interval=2.0)
bpy.app.timers.register(beat)
