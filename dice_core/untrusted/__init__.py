# SPDX-License-Identifier: GPL-3.0-or-later
"""Files from elsewhere, read as data: nothing in them is run, and no more memory is taken than they have bytes."""
