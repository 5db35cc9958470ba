#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Purpose: find the first commit that the crates of a build do not have, without building
# anything: checkouts are judged by the ledger of that build, for their times tell nothing.
#
# Usage, in the source tree, after `kdeps ci --record ../good.ledger MAKE-ARGS` at a commit that was built:
#
#	sh bisect.sh GOOD BAD ../good.ledger LLVM=1 O=../build M=drivers/gpu/nova-core
#
# Output, the last lines of git bisect:
#
#	3f2a9c1d… is the first bad commit
#	    rust: io: add a barrier

good=$1 bad=$2 ledger=$3
shift 3
git bisect start "$bad" "$good" -- || exit
git bisect run kdeps ci --bisect --against "$ledger" "$@"
status=$?
git bisect reset >/dev/null
exit $status
