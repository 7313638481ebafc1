# SPDX-License-Identifier: GPL-3.0-or-later
"""Distance, contact and deformation between hand and head."""
