# SPDX-License-Identifier: GPL-3.0-or-later
"""A benchmark with truth: made-up people who touch their faces, rendered, and the engine's answers compared."""
