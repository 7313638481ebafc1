# SPDX-License-Identifier: GPL-3.0-or-later
"""The head and hand models: data, skinning, topology."""
