# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints what `kdeps loaded --facts` needs to know of this machine.  Changes nothing.
# Any POSIX sh will do; with busybox it needs od, tr, sed, grep, find, awk, sort and cpio.
#
# usage: sh collect.sh [MODULE...]     without MODULE: every loaded module

export LC_ALL=C
names='@NAMES@'
release='@RELEASE@'
root=${KDEPS_ROOT-}
budget=268435456	# bytes that are looked through in one file

hex() { od -An -v -tx1 2>/dev/null | tr -d ' \n'; }

line() {	# the first line of a file
	[ -f "$1" ] && [ -r "$1" ] && IFS= read -r text < "$1" && printf '%s' "$text"
}

mtime() {
	stat -c %Y "$1" 2>/dev/null || echo -
}

# The id of a note, from hexadecimal: little endian, then big endian.
note() {
	sed -n -e 's/.*040000001400000003000000474e5500\(.\{40\}\).*/\1/p' \
		-e 's/.*000000040000001400000003474e5500\(.\{40\}\).*/\1/p' | sed -n 1p
}

module_name() {
	text=${1##*/}
	text=${text%%.ko*}
	printf '%s' "$text" | tr - _
}

unpacked() {
	case $1 in
	*.xz) xz -dc < "$1" 2>/dev/null || xzcat < "$1" ;;
	*.gz) gzip -dc < "$1" ;;
	*.zst) zstd -dcq < "$1" ;;
	*) cat "$1" ;;
	esac 2>/dev/null
}

# file KIND NAME PATH: what one installed file is
file() {
	id=-
	if [ ! -e "$3" ]; then
		id=missing
	elif [ ! -f "$3" ] || [ ! -r "$3" ]; then
		id=unreadable
	else
		# The note is nearly always in front; only where it is not, all is read.
		id=$(unpacked "$3" | head -c 65536 | hex | note)
		[ "$id" ] || id=$(unpacked "$3" | head -c $budget | hex | note)
		[ "$id" ] || [ "$(unpacked "$3" | head -c 4 | hex)" = 7f454c46 ] || id=unreadable
		[ "$id" ] || id=-
	fi
	printf '%s %s %s %s %s\n' "$1" "$2" "$id" "$(mtime "$3")" "${3#"$root"}"
}

loaded() {	# NAME
	sysfs=$root/sys/module/$1
	[ -d "$sysfs" ] || return 0
	state=$(line "$sysfs/initstate")
	id=-
	notes=$sysfs/notes/.note.gnu.build-id
	[ -r "$notes" ] && id=$(hex < "$notes" | note)
	[ -d "$sysfs" ] || return 0	# unloaded meanwhile
	printf 'loaded %s %s %s\n' "$1" "${state:-built-in}" "${id:--}"
}

installed() {	# NAME
	chosen=$(grep -E "(^|/)$pattern\\.ko(\\.(xz|zst|gz))?:" "$folder/modules.dep" 2>/dev/null | sed 's/:.*//;q')
	if [ "$chosen" ]; then
		chosen=$folder/$chosen
		file installed "$1" "$chosen"
	fi
	printf '%s\n' "$files" | grep -E "/$pattern\\.ko" | while IFS= read -r text; do
		[ "$text" = "$chosen" ] || [ "$(module_name "$text")" != "$1" ] || printf 'also %s %s\n' "$1" "${text#"$root"}"
	done
	if grep -qE "(^|/)$pattern\\.ko\$" "$folder/modules.builtin" 2>/dev/null; then
		printf 'builtin %s\n' "$1"
	fi
}

# Where an archive may begin in an image: the place of every magic number.  awk has no NUL.
places() {	# PATH
	tr '\000' '\001' < "$1" | LC_ALL=C awk '
	BEGIN { split("070701 070702 \037\213\010 \3757zXZ \050\265\057\375 \002\041\114\030 \004\042\115\030 BZh \135\001\001", magics, " ") }
	{
		for (n in magics) {
			text = $0; at = place
			while ((found = index(text, magics[n])) > 0) {
				print at + found - 1
				at += found; text = substr(text, found + 1)
			}
		}
		place += length($0) + 1
	}' | sort -n
}

# A part of an image: from a place on, through a filter, and from a place in what the filter gives.
part() {	# PATH PLACE FILTER PLACE
	tail -c +$(($2 + 1)) "$1" | $3 2>/dev/null | tail -c +$(($4 + 1))
}

# Whether the compressed archive in front has ended at a place: what is unpacked up to there is whole.
is_behind() {	# PATH PLACE
	[ "$(part "$1" "$start" cat 0 | head -c $(($2 - start)) | $packer 2>/dev/null | wc -c)" -ge "$least" ]
}

only_zeros() { [ -z "$(tr -d '\000' | head -c 1 | hex)" ]; }

# What one archive has of the modules; sets blocks to its length.
archive() {	# PATH PLACE FILTER PLACE
	list=$(part "$@" | { cpio -t 2>&1 || echo failed; } |
		sed -n -e '/^failed$/p' -e '/ of junk$/p' -e '/^[0-9][0-9]* blocks\{0,1\}$/p' -e "\|lib/modules/$release/.*\.ko|p")
	blocks=$(printf '%s\n' "$list" | sed -n 's/^\([0-9][0-9]*\) block.*/\1/p')
	case $list in *failed* | *' of junk'*) blocks='' ;; esac
	[ "$blocks" ] || return 1
	[ "$known" ] || is_behind "$1" "$2" || return 1
	printf '%s\n' "$list" | while IFS= read -r text; do
		[ "${text##* }" = "$text" ] || continue
		name=$(module_name "$text")
		case " $names " in *" $name "*) ;; *) continue ;; esac
		id=$(part "$@" | cpio -i --to-stdout "$text" 2>/dev/null | packed_id "$text")
		printf 'packed %s %s %s\n' "$name" "${id:-unreadable}" "$text"
	done
}

packed_id() {	# NAME
	case $1 in
	*.xz) xz -dc 2>/dev/null ;;
	*.gz) gzip -dc ;;
	*.zst) zstd -dcq ;;
	*) cat ;;
	esac 2>/dev/null | head -c $budget | hex | note
}

find_filter() {	# PATH PLACE
	case $(part "$1" "$2" cat 0 | head -c 9 | hex) in
	30373037303[12]*) filter=cat ;;
	1f8b08*) filter='gzip -dc' ;;
	fd377a585a00*) filter='xz -dc' ;;
	28b52ffd*) filter='zstd -dcq' ;;
	02214c18* | 04224d18*) filter='lz4 -dcq' ;;
	425a68*) filter='bzip2 -dc' ;;
	5d0000????ffffffff*) filter='lzma -dc' ;;
	*) return 1 ;;
	esac
}

initramfs() {	# PATH
	printf 'initramfs %s\n' "${1#"$root"}"
	[ -f "$1" ] && [ -r "$1" ] || { echo 'initramfs-denied'; return; }
	command -v cpio > /dev/null || { echo 'initramfs-problem cannot be read without cpio there'; return; }
	command -v awk > /dev/null || { echo 'initramfs-problem cannot be read without awk there'; return; }
	if only_zeros < "$1"; then echo 'initramfs-problem is empty'; return; fi
	# The length of a plain archive says where the next one begins.  Behind a compressed one,
	# every place that looks like an archive is tried.  Some are noise, and some are a part of the
	# compressed one that could not be made smaller.
	end=0 known=1
	for place in $(places "$1"); do
		[ "$place" -ge $((end > 511 ? end - 511 : 0)) ] || continue
		if ! find_filter "$1" "$place"; then continue; fi
		if [ "$known" ] && [ "$place" -gt "$end" ]; then
			part "$1" "$end" cat 0 | head -c $((place - end)) | only_zeros || break
		fi
		if ! archive "$1" "$place" "$filter" 0; then
			[ "$known" ] || continue
			echo 'initramfs-problem cannot be read by the cpio there'
			return
		fi
		# The last block of an archive has headers as well, at least that of its end.
		if [ "$place" -lt "$end" ] && [ "$blocks" -le 1 ]; then continue; fi
		end=$((place + blocks * 512)) known=1
		[ "$filter" != cat ] || continue
		inside=0
		while inside=$((inside + blocks * 512)); ! part "$1" "$place" "$filter" "$inside" | only_zeros; do
			if archive "$1" "$place" "$filter" "$inside"; then continue; fi
			echo 'initramfs-problem has an archive of a kind that is not known'
			return
		done
		end=$((place + 1)) known=''
		start=$place packer=$filter least=$((inside - 511))
	done
	if [ "$known" ] && ! part "$1" "$end" cat 0 | only_zeros; then
		echo 'initramfs-problem has an archive of a kind that is not known'
	fi
}

main() {
	[ $# -gt 0 ] && names=$*
	running=$(line "$root/proc/sys/kernel/osrelease")
	release=${release:-$running}
	folder=$root/lib/modules/$release
	echo 'kdeps-facts 1'
	printf 'release %s\n' "$running"
	printf 'version %s\n' "$(line "$root/proc/sys/kernel/version")"
	printf 'boot-id %s\n' "$(line "$root/proc/sys/kernel/random/boot_id")"
	[ -r "$root/sys/kernel/notes" ] && printf 'kernel-id %s\n' "$(hex < "$root/sys/kernel/notes" | note)"
	for patch in "$root"/sys/kernel/livepatch/*; do
		[ "$(line "$patch/enabled")" = 1 ] && printf 'livepatch %s\n' "${patch##*/}"
	done
	printf 'folder %s\n' "$release"
	[ -d "$folder" ] && printf 'has-folder %s\n' "$(mtime "$folder/modules.dep")"
	if [ "$names" ]; then
		for name in $names; do printf 'looked-for %s\n' "$name"; done
	fi
	if [ -d "$root/sys/module" ]; then
		echo 'has-loaded'
		for path in "$root"/sys/module/*; do loaded "${path##*/}"; done
	fi
	files=$(find "$folder/" -type f -name '*.ko*' 2>/dev/null)
	few=$names
	if [ ! "$names" ]; then
		names=$(sed -n 's/ .*//p' "$root/proc/modules")
		for name in $names; do printf 'looked-for %s\n' "$name"; done
	fi
	for name in $names; do
		pattern=$(printf '%s' "$name" | sed 's/[_-]/[_-]/g')
		installed "$name"
	done
	for path in "$root/boot/initrd.img-$release" "$root/boot/initramfs-$release.img" \
		"$root/boot/initrd-$release" "$root/boot/initramfs-$release"; do
		[ -e "$path" ] || continue
		# For every loaded module it would be unpacked a hundred times.
		if [ "$few" ]; then
			initramfs "$path"
		else
			printf 'initramfs %s\ninitramfs-denied\n' "${path#"$root"}"
		fi
	done
	echo end
}
main "$@" < /dev/null
