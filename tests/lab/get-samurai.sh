#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# get-samurai.sh - samurai, the other program that runs a build.ninja
#
#   get-samurai.sh DIR      writes DIR/muon; `muon samu` is samurai
#
# Debian has no package samurai, and its muon is built without the samurai that
# its source contains; so that source is fetched with apt and compiled, which
# takes seconds.  Needs a Debian with gcc, tar and a mirror that has trixie.
# Nothing of apt's own state is changed.
set -Eeuo pipefail

SUITE=trixie
[ $# = 1 ] || { sed -n '4,/^set -E/{/^set -E/d;s/^# \{0,1\}//;p}' "$0"; exit 2; }
dir=$(mkdir -p "$1" && cd "$1" && pwd)
[ ! -x "$dir/muon" ] || ! "$dir/muon" samu --version >/dev/null 2>&1 || exit 0
mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -m1 '/debian/$' || :)
[ -n "$mirror" ] || { echo 'get-samurai.sh: error: apt here knows no Debian mirror: run apt-get update' >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,src}
echo "deb-src $mirror $SUITE main" > "$work/sources.list"
cd "$work/src"
apt() {
	apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- \
		-o Dir::State::Lists="$work/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
		-o APT::Sandbox::User=root "$@"
}
apt update
apt source --download-only --tar-only muon-meson
tar -xf muon-meson_*.orig.tar.* --strip-components=1
"${CC:-gcc}" -O1 -w -Iinclude src/amalgam.c -o muon
./muon samu --version >/dev/null
install muon "$dir/muon"
