# SPDX-License-Identifier: GPL-3.0-or-later
"""The machinery of an installation: standard library only, Python 3.10 or newer. `dice_core.runtime` is its face."""
