#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Make the objects of this folder again: make.sh LIBCORE_FOR_ARM64_RLIB_FOLDER, with any rustc.
set -eu
out=$(mktemp -d)
flags='--edition=2021 -Cpanic=abort -Copt-level=2 -Ccodegen-units=1 -Cforce-unwind-tables=n -Csymbol-mangling-version=v0'
x86='--target=x86_64-unknown-linux-gnu -Crelocation-model=static -Ccode-model=kernel'
arm='--target=aarch64-unknown-none -Crelocation-model=static -L '"$1"
for arch in x86 arm; do
	eval target=\$$arch
	rustc $flags $target --crate-type=rlib --crate-name=build_error --out-dir="$out" build_error.rs
	rustc $flags $target --crate-type=rlib --emit=obj=clean-$arch.o clean.rs
	rustc $flags $target --crate-type=rlib --emit=obj=driver-$arch.o --extern build_error="$out/libbuild_error.rlib" driver.rs
	rustc $flags $target --crate-type=rlib --emit=obj=driver-$arch-lines.o -Cdebuginfo=line-tables-only \
		-Cllvm-args=-enable-tail-merge=false --extern build_error="$out/libbuild_error.rlib" driver.rs
done
rm -rf "$out"
