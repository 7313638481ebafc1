# SPDX-License-Identifier: GPL-3.0-or-later
"""What a panel draws, without a window: a layout that keeps texts and buttons."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy


class Layout:
    """Stands for a UILayout; its rows, columns and boxes are itself."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.icons: list[str] = []
        self.buttons: list[tuple[str, SimpleNamespace]] = []
        self.props: list[str] = []

    def label(self, text: str = "", icon: str = "NONE") -> None:
        self.texts.append(text)
        self.icons.append(icon)

    def operator(self, name: str, **_: object) -> SimpleNamespace:
        self.buttons.append((name, SimpleNamespace()))
        return self.buttons[-1][1]

    def prop(self, data: object, name: str, text: str = "", **_: object) -> None:
        if name.startswith("["):  # a custom property
            data.path_resolve(name)
        else:
            assert hasattr(data, name)
        self.props.append(text or name)

    def row(self, **_: object) -> Layout:
        return self

    column = box = split = row

    def template_icon(self, icon_value: int, **_: object) -> None:
        self.icons.append(str(icon_value))

    def progress(self, text: str = "", **_: object) -> None:
        self.texts.append(text)

    @property
    def text(self) -> str:
        """All texts: wrapped ones in one piece."""
        return " ".join(self.texts)

    @property
    def names(self) -> list[str]:
        """The operators of the buttons."""
        return [name for name, _ in self.buttons]


def context(area: str = "VIEW_3D", width: int = 300) -> Any:
    """What `draw` is told of where it draws."""
    place = {"area": SimpleNamespace(type=area), "region": SimpleNamespace(width=width)}
    preferences = SimpleNamespace(system=SimpleNamespace(ui_scale=1.0, use_online_access=False))
    return SimpleNamespace(preferences=preferences, scene=bpy.context.scene, space_data=None, **place)
