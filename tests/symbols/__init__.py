# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every Rust symbol of the lab's real objects, said by kdeps and by LLVM and binutils: none may differ unexplained.

python -m tests.symbols --lab DIR

v0 symbols are held against ``llvm-cxxfilt``, legacy ones against ``c++filt``, without the hash at their end. One thing
differs and is right: binutils takes a legacy hash with fewer than five different digits for no hash.
"""
