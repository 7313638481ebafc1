# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the network of `dice_core.fit.glance`: bank, make, train, export, check (README.md), each run with -m."""
