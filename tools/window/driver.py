# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives Blender's window with the mouse and the keyboard, as a person does: runs inside Blender, needs xdotool.

A script is a generator that yields how many seconds to wait; `play` runs it between Blender's own redraws. Buttons are
found by what they do: the mouse is moved over a sidebar until Blender says that it is above the one that is wanted.
"""

from __future__ import annotations

import json
import subprocess
import traceback
from collections.abc import Callable, Generator
from pathlib import Path

import bpy

Steps = Generator[float, None, None]
STEP = 9  # pixels between two places that are looked at
SETTLE = 0.12  # seconds until Blender has noticed the mouse


def play(steps: Steps, report: Path, facts: dict) -> None:
    """Run the script from a timer, write the facts and what went wrong as JSON, and quit Blender."""

    def step() -> float | None:
        try:
            return next(steps)
        except StopIteration:
            pass
        except BaseException:
            facts["exception"] = traceback.format_exc()
        report.write_text(json.dumps(facts, indent=1))
        bpy.ops.wm.quit_blender()
        return None

    bpy.app.timers.register(step, first_interval=2.0, persistent=True)


def window() -> bpy.types.Window:
    """The only one."""
    return bpy.context.window_manager.windows[0]


def area_of(kind: str) -> bpy.types.Area:
    """The largest area of a type, such as VIEW_3D."""
    areas = [area for area in window().screen.areas if area.type == kind]
    return max(areas, key=lambda area: area.width * area.height)


def region_of(kind: str, part: str = "UI") -> bpy.types.Region:
    """A region of it: the sidebar, unless told otherwise."""
    return next(region for region in area_of(kind).regions if region.type == part)


def xdotool(*words: object) -> None:
    """Move, click, press."""
    subprocess.run(["xdotool", *map(str, words)], check=True)


def move(x: float, y: float) -> Steps:
    """The mouse to a point of the window, from its lower left corner as Blender counts."""
    xdotool("mousemove", round(x), round(window().height - y))
    xdotool("mousemove_relative", 1, 1)
    xdotool("mousemove_relative", "--", -1, -1)
    yield SETTLE


def click(times: int = 1) -> Steps:
    """The left button, where the mouse is."""
    xdotool("click", "--repeat", times, "--delay", 60, 1)
    yield 0.3


def press(*keys: str) -> Steps:
    """Keys by their X names, such as ctrl+z."""
    for key in keys:
        xdotool("key", key)
        yield 0.3


def write(text: str) -> Steps:
    """Into the field that is being edited, instead of what it holds."""
    xdotool("key", "ctrl+a")
    xdotool("type", "--delay", 5, text)
    yield 0.3
    yield from press("Return")


def over_view(kind: str = "VIEW_3D") -> Steps:
    """The mouse into the middle of the 3D view, or the lower left corner of another editor."""
    region = region_of(kind, "WINDOW")
    share = 0.5 if kind == "VIEW_3D" else 0.02
    yield from move(region.x + share * region.width, region.y + share * region.height)


def open_tab(kind: str, name: str) -> Steps:
    """Open the sidebar with N and click down its tabs until the one of that name is shown."""
    main = region_of(kind, "WINDOW")
    if not area_of(kind).spaces.active.show_region_ui:
        yield from move(main.x + main.width / 3, main.y + main.height / 2)
        yield from press("n")
        yield 0.5
    region = region_of(kind)
    for y in range(region.y + region.height - 20, region.y, -25):
        if region.active_panel_category == name:
            return
        yield from move(region.x + region.width - 8, y)
        yield from click()
    assert region.active_panel_category == name, f"no tab {name}"


def find(wanted: str, kind: str = "VIEW_3D", across: float = 0.4) -> Steps:
    """Leave the mouse above the button or field of the sidebar whose Python command or data path holds `wanted`.

    Parameters
    ----------
    across
        Where to look, as a fraction of the sidebar's width.
    """
    region = region_of(kind)
    for patience in (0.0, 0.4):  # a busy machine may need a second look
        for y in range(region.y + region.height - STEP, region.y, -STEP):
            yield from move(region.x + across * region.width, y)
            yield patience
            if wanted in _under_mouse(kind):
                return
    raise AssertionError(f"no button {wanted}")


def _under_mouse(kind: str) -> str:
    """What Blender would copy of the button below the mouse: its command, or its property's path."""
    area, region = area_of(kind), region_of(kind)
    manager = bpy.context.window_manager
    found = ""
    with bpy.context.temp_override(window=window(), area=area, region=region):
        for copy in (bpy.ops.ui.copy_python_command_button, bpy.ops.ui.copy_data_path_button):
            manager.clipboard = ""
            if copy.poll():
                copy()
                found += manager.clipboard
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 120.0, each: float = 0.05) -> Steps:
    """Until it is true."""
    for _ in range(round(seconds / each)):
        if condition():
            return
        yield each
    raise AssertionError("it takes too long")


def screenshot(path: Path) -> Steps:
    """A picture of the whole screen."""
    for area in window().screen.areas:
        area.tag_redraw()
    yield 0.8
    subprocess.run(["import", "-window", "root", str(path)], check=True)
