# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The examples for pipelines, on a real kernel in the lab.

Usage, as root::

    python3 -m tests.lab pipelines [--lab DIR] [--tree small]

The scripts of ``examples/ci`` run as they stand, one after the other, in a view of the lab that is thrown away. KDEPS is
this checkout, and pip gets its packages from a folder; everything else is the example's own. Looked at: the toolchain
installs, the options give the module, a restored build is judged, refreshed and built after an edit, and the reports say so.
"""
