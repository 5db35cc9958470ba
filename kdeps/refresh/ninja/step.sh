# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=sh
#
# What goes around one command that ninja takes from a record of Kbuild's.
#
#   target=… outs='…' record=… depfile=… fixdep=… check=… ran=… note=…
#   . step.sh; step_begin DIRECTORY; ( set -e; COMMAND ); step_end $?
#
# Before:  the outputs are put aside, in the same folder.
# Failed:  they are put back, so that Kbuild finds everything as it was, and stale.
# Done:    the dependency list becomes the new record, through Kbuild's own fixdep. If
#          every output is what it was, the old files come back, old times included:
#          ninja (restat) stops there, and $ran/same/$note tells when this was proven.
#
# Kbuild's file names have no blanks: fixdep fails on them.

# As the top Makefile of the kernel exports them.
unset LC_ALL GREP_OPTIONS
LC_COLLATE=C LC_NUMERIC=C RUSTC_BOOTSTRAP=1
export LC_COLLATE LC_NUMERIC RUSTC_BOOTSTRAP

step_aside() { # where a file is put aside
	case $1 in
	*/*) printf '%s/.kdeps-old-%s' "${1%/*}" "${1##*/}" ;;
	*) printf '.kdeps-old-%s' "$1" ;;
	esac
}

step_put_back() {
	back=
	for o in $outs; do back="$o $back"; done
	# The target last: while it is missing, make knows that something is.
	for o in $back; do
		old=$(step_aside "$o")
		if [ -e "$old" ]; then mv -f "$old" "$o"; fi
	done
}

# A list that a compile which did not end has left: kdeps and Kbuild would take its object for half-made.
step_drop_list() {
	[ -n "$depfile" ] || return 0
	rm -f "$depfile"
	if [ -e "$(step_aside "$depfile")" ]; then mv -f "$(step_aside "$depfile")" "$depfile"; fi
}

step_begin() {
	cd "$1" || exit 1
	mkdir -p "$ran/begun" "$ran/same" || exit 1
	rm -f "$ran/same/$note"
	: >"$ran/begun/$note" || exit 1
	trap 'step_drop_list; step_put_back; exit 130' INT TERM HUP
	if [ -n "$depfile" ] && [ -e "$depfile" ]; then mv -f "$depfile" "$(step_aside "$depfile")" || exit 1; fi
	for o in $outs; do
		if [ -e "$o" ]; then mv -f "$o" "$(step_aside "$o")" || exit 1; fi
	done
}

step_end() {
	status=$1
	if [ "$status" -eq 0 ] && [ -n "$depfile" ]; then
		step_record || status=$?
	fi
	for o in $outs; do
		if [ "$status" -eq 0 ] && [ ! -e "$o" ]; then
			echo "kdeps: $o: the recorded command did not make it" >&2
			status=1
		fi
	done
	if [ "$status" -ne 0 ]; then
		for o in $outs; do rm -f "$o"; done
		step_drop_list
		step_put_back
		exit "$status"
	fi
	if [ -n "$depfile" ]; then rm -f "$(step_aside "$depfile")"; fi
	same=yes
	for o in $outs; do
		cmp -s "$o" "$(step_aside "$o")" || same=
	done
	if [ -n "$same" ]; then
		step_put_back
		mv -f "$ran/begun/$note" "$ran/same/$note"
	else
		for o in $outs; do rm -f "$(step_aside "$o")"; done
		rm -f "$ran/begun/$note"
		if [ -n "$check" ]; then
			: >"$ran/by_make"
			echo "kdeps: $target changed, and $check is made from it by a rule that only make has" >&2
			exit 1
		fi
	fi
	exit 0
}

# cmd_and_fixdep of scripts/Kbuild.include, then what the rule added below the list before.
step_record() {
	line=$(sed -n 1p "$record")
	name=${line%% := *}
	name=${name#saved}
	"$fixdep" "$depfile" "${name#cmd_}" "${line#* := }" >"$record.new" &&
		sed '1,/^\$(deps_.*):$/d' "$record" >>"$record.new" &&
		mv -f "$record.new" "$record" &&
		rm -f "$depfile" && return
	rm -f "$record.new"
	return 1
}
