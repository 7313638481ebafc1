# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving pictures to a folder: what is seen, fitted, placed, smoothed and built, a step each."""
