# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture as Blender data. Needs no interface: scripts may use it without registering the extension."""
