#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# make-lab.sh - the kernel lab: one Debian chroot with a Rust-capable toolchain
# and the real kernel trees that tests/campaigns/conformance judges kdeps by.
#
#   make-lab.sh [-t DIR] [-s SUITE] [-k KVER] [-m MIRROR] [-j N] [-x] [LAYOUT...]
#   make-lab.sh [-t DIR] enter [COMMAND...]     shell, or COMMAND, in the chroot
#   make-lab.sh [-t DIR] list                   what is built
#   make-lab.sh [-t DIR] forget [LAYOUT...]     build these (or all) again
#
# A layout is one way to lay out source, object tree and modules:
#
#   out      KVER with O=; nova-core by M= in the source folder, samples/rust
#            by MO=, external modules: Rust, and Rust and C mixed with a subfolder
#   in       KVER in its own source tree, without X86_KERNEL_IBT, so that every
#            rust/*.o carries an objtool line; nova-core, samples, one MO= module
#   lts      6.12 with O=: M= works in the object tree and names are absolute
#   next     7.3 with O=: nova-core is built by drivers/gpu/Makefile
#   headers  a linux-headers package: a prebuilt tree nobody can prepare; C only
#   c61      6.1 with O=, without Rust: records say cmd_ where later ones say
#            savedcmd_; C only
#   inline   KVER with O=, C helpers inlined into Rust code, thin LTO: records of
#            several commands, .bc files
#   modver   KVER with O=, MODVERSIONS by gendwarfksyms; Rust, and Rust and C
#   genksyms KVER with O=, MODVERSIONS by genksyms, without Rust; C and assembler
#   gcc      KVER with O=, gcc and binutils instead of LLVM; Rust, C, assembler
#   arm64    KVER with O=, for another architecture
#   rusthdr  an installed tree as Fedora and Arch ship one: Rust crates, proc
#            macros and tools, no records and no sources of them
#   small    KVER with O=, vmlinux and every module of a small configuration:
#            what CI has the time to build of a whole kernel; QEMU boots it
#   whole    KVER with O=, vmlinux, bzImage and every module of defconfig with
#            Rust, nova-core and the samples: nearly 5,000 records, 40 minutes
#            and 6 GB more
#
# Default: out to c61, which the others share sources with.
#
#   -t DIR     where the chroot goes            (default /var/tmp/kdeps-lab)
#   -s SUITE   Debian suite                     (default trixie)
#   -k KVER    kernel of out and in, as in linux-source-KVER  (default: 7.2 if
#              apt has it, else the newest)
#   -m MIRROR  default: the Debian mirror that this machine's apt uses.  Suites
#              move: for a lab that can be repeated, use a dated snapshot's URL
#   -x         accept expired Release files (on by itself for snapshot mirrors)
#   -j N       jobs                             (default: number of CPUs)
#
# Run as root on Debian 12 or newer, with debootstrap installed.  What is done
# is skipped (stamps in DIR/var/lib/kdeps-lab), so a failed run is simply run
# again.  Everything: about 6 GB and, on two idle cores, 10 minutes.
#
# For each layout, DIR/var/lib/kdeps-lab/layouts/LAYOUT.json says where its
# trees lie and how to call make in it; tests/lab/layout.py reads that.
set -Eeuo pipefail

T=/var/tmp/kdeps-lab SUITE=trixie KVER='' MIRROR='' EXPIRED='' J=$(nproc)
ALL=(out in lts next headers c61) MORE=(inline modver genksyms gcc arm64 rusthdr) WHOLE=(small whole)
TOOLS=LLVM=1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() { sed -n '4,/^set -E/{/^set -E/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
die() { echo "make-lab.sh: error: $*" >&2; exit 1; }

while getopts t:s:k:m:j:xh o; do
	case $o in
	t) T=$OPTARG ;;		s) SUITE=$OPTARG ;;
	k) KVER=$OPTARG ;;	m) MIRROR=$OPTARG ;;
	j) J=$OPTARG ;;		x) EXPIRED=1 ;;
	h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))
ST=$T/var/lib/kdeps-lab
STEP=start

say() { printf '== %4ds  %s\n' "$SECONDS" "$*"; }
done_before() { [ -e "$ST/$1" ]; }
mark() { mkdir -p "$ST"; : > "$ST/$1"; }
exec 3>&2
trap 'failed $?' ERR
failed() {
	trap - ERR
	[ "$BASH_SUBSHELL" = 0 ] || exit "$1"	# the caller will tell
	{	[ ! -s "$ST/log" ] || { echo "---- end of $ST/log"; tail -n 25 "$ST/log"; }
		echo "make-lab.sh: error: step '$STEP' failed (exit $1)"
	} >&3
	exit 1
}

# step NAME FUNCTION [ARG...]: run once, remember that it was done
step() {
	local name=$1; shift
	done_before "$name" && return
	STEP=$name
	say "$name"
	mkdir -p "$ST"; : > "$ST/log"
	"$@" >> "$ST/log" 2>&1
	mark "$name"
}

# Run a command in the chroot; its mounts vanish with the namespace.
inlab() {
	unshare -m bash -c '
		T=$1; shift
		mount --bind "$T" "$T" && cd "$T" || exit 1
		mount -t proc proc "$T/proc"
		mount --rbind /dev "$T/dev"
		[ -e /etc/resolv.conf ] && cp -L /etc/resolv.conf "$T/etc/resolv.conf" 2>/dev/null
		exec chroot "$T" env -i HOME=/root TERM="${TERM:-dumb}" LC_ALL=C.UTF-8 \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			DEBIAN_FRONTEND=noninteractive "$@"
	' _ "$T" "$@"
}

PACKAGES="make gcc libc6-dev clang lld llvm flex bison bc kmod cpio rsync
	python3 python3-click python3-pyelftools python3-pytest python3-hypothesis python3-jsonschema perl
	libelf-dev libssl-dev libdw-dev pahole
	xz-utils bzip2 file procps strace git bindgen rustc rust-clippy rust-src ninja-build"

do_boot() {
	command -v debootstrap || { echo 'debootstrap is not installed: apt-get install debootstrap'; return 1; }
	# Half a chroot is worth nothing; never remove what was not made here.
	if [ -d "$T/debootstrap" ]; then rm -rf --one-file-system "$T"; mkdir -p "$ST"; fi
	local script=/usr/share/debootstrap/scripts/$SUITE
	if [ -e "$script" ]; then script=''; else script=/usr/share/debootstrap/scripts/sid; fi
	debootstrap --variant=minbase "$SUITE" "$T" "$MIRROR" ${script:+"$script"}
}

do_packages() {
	{ echo "deb $MIRROR $SUITE main"
	  case $SUITE in sid|unstable) ;; *)
		echo "deb $MIRROR $SUITE-updates main"
		echo "deb $MIRROR $SUITE-backports main" ;;
	  esac
	  # only for linux-source-6.1; the pin keeps everything else away
	  echo "deb $MIRROR bookworm main"
	} > "$T/etc/apt/sources.list"
	printf 'Package: *\nPin: release n=bookworm\nPin-Priority: 10\n' > "$T/etc/apt/preferences.d/kdeps-lab"
	case $MIRROR in *snapshot*) EXPIRED=1 ;; esac
	[ -z "$EXPIRED" ] || echo 'Acquire::Check-Valid-Until "false";' > "$T/etc/apt/apt.conf.d/99kdeps-lab"
	inlab apt-get -qq update
	# A newer compiler would make every tree of a lab that is used again stale.
	inlab apt-get -qqy --no-install-recommends --no-upgrade install $PACKAGES
}

do_samurai() {	# no package has it
	inlab bash -s -- /usr/local/bin < "$here/get-samurai.sh"
}

pick_kver() {
	[ -n "$KVER" ] && return
	KVER=$(inlab apt-cache search --names-only '^linux-source-[0-9.]+$' |
		sed -n 's/^linux-source-\([0-9.]*\) .*/\1/p' | sort -V |
		awk '{ v = $0 } v == "7.2" { exit } END { print v }')
	[ -n "$KVER" ] || die 'apt in the chroot knows no linux-source package'
}

# do_source VERSION FOLDER [all]: unpack linux-source-VERSION.  Without "all",
# what no module build can ever compile or read (sources of other architectures
# and of drivers, amdgpu's registers) is left out: three quarters of the tree.
# Every Kconfig file stays, whatever its folder: crypto/Kconfig sources those of
# all architectures.
do_source() {
	inlab sh -c "cd /var/cache/apt/archives && apt-get -q download linux-source-$1" || {
		echo "linux-source-$1 is not there; there are:"
		inlab apt-cache search --names-only '^linux-source-[0-9]'
		return 1
	}
	inlab bash -ec "
		cd /root; rm -rf x-$1 $2; mkdir x-$1
		dpkg-deb -x \$(ls -t /var/cache/apt/archives/linux-source-${1}_*.deb | head -1) x-$1
		skip=()
		for a in alpha arc arm csky hexagon loongarch m68k microblaze mips \
			 nios2 openrisc parisc powerpc riscv s390 sh sparc um xtensa; do
			skip+=(--exclude \"linux-source-$1/arch/\$a/*.[chS]\" --exclude \"linux-source-$1/arch/\$a/*.dts*\")
		done
		[ '${3-}' = all ] || skip+=(--exclude '*/drivers/gpu/drm/amd/*.h'
			--exclude \"linux-source-$1/drivers/[!g]*.c\" --exclude \"linux-source-$1/drivers/gpu/drm/[!n]*.c\"
			--exclude \"linux-source-$1/sound/*.c\"
			--exclude \"linux-source-$1/fs/*.c\" --exclude \"linux-source-$1/net/*.c\")
		tar -xf x-$1/usr/src/linux-source-$1.tar.xz -C x-$1 \"\${skip[@]}\" \
			--exclude '*/Documentation/*/*.rst'
		mv x-$1/linux-source-$1 $2
		rm -rf x-$1 /var/cache/apt/archives/linux-source-${1}_*.deb"
}

RUST_OPTS='-e RUST -e SAMPLES -e SAMPLES_RUST -m SAMPLE_RUST_MINIMAL -m SAMPLE_RUST_PRINT -m NOVA_CORE -e DRM -m DRM_NOVA -e FW_LOADER'

# do_config SRC OBJ OARG OPTIONS [BASE]: a small configuration (or that of make
# BASE), with OPTIONS for scripts/config, by TOOLS
do_config() {
	inlab bash -ec "
		cd $1; mkdir -p $2
		make -s $TOOLS $3 ${5-allnoconfig}
		scripts/config --file $2/.config -e 64BIT -e PCI -e MODULES -e MODULE_UNLOAD \
			-e PRINTK -e PROC_FS -e SYSFS $4
		make -s $TOOLS $3 olddefconfig < /dev/null
		case '$4' in *'-e RUST '*)
			make $TOOLS $3 rustavailable
			grep -q ^CONFIG_RUST=y $2/.config ;;
		esac"
}

# do_make FOLDER MAKE-ARG...: one real build
do_make() {
	local dir=$1; shift
	inlab bash -ec 'cd "$1"; shift; exec make "$@" < /dev/null' _ "$dir" -j"$J" "$@"
}

# do_module FOLDER OUTPUT MAKE-ARG...: build a module.  A folder that builds
# nothing succeeds too (7.3, M=drivers/gpu/nova-core), so look for the .ko.
do_module() {
	local dir=$1 out=$2; shift 2
	do_make "$dir" "$@" KBUILD_MODPOST_WARN=1
	[ -n "$(find "$T$out" -name '*.ko')" ] || { echo "no .ko in $out"; return 1; }
}

# write_module FOLDER rust|mixed|c|asm AUTHOR-KEY
write_module() {
	local d=$T$1 key=$3 value='["kdeps"]'
	[ "$key" = authors ] || value='"kdeps"'
	rm -rf "$d"; mkdir -p "$d"
	case $2 in
	rust)
		echo 'obj-m := kdeps_rs.o' > "$d/Makefile"
		cat > "$d/kdeps_rs.rs" <<-E
		// SPDX-License-Identifier: GPL-2.0
		//! A minimal external Rust module with a submodule and an included text.
		use kernel::prelude::*;
		mod part;
		module! {
		    type: Ext,
		    name: "kdeps_rs",
		    $key: $value,
		    description: "kdeps lab module",
		    license: "GPL",
		}
		struct Ext;
		impl kernel::Module for Ext {
		    fn init(_m: &'static ThisModule) -> Result<Self> {
		        pr_info!("hello {} {}\n", part::answer(), include_str!("greeting.txt").len());
		        Ok(Ext)
		    }
		}
		E
		printf '// SPDX-License-Identifier: GPL-2.0\npub(crate) fn answer() -> u32 {\n    42\n}\n' > "$d/part.rs"
		echo hello > "$d/greeting.txt" ;;
	mixed)
		mkdir "$d/sub"
		printf 'obj-m := kdeps_mix.o sub/\nkdeps_mix-y := mix_c.o mix_rs.o\n' > "$d/Kbuild"
		echo 'obj-m := kdeps_sub.o' > "$d/sub/Makefile"
		printf '/* SPDX-License-Identifier: GPL-2.0 */\nint kdeps_mix_answer(int x);\n#ifdef CONFIG_SMP\n#define KDEPS_CPUS 2\n#else\n#define KDEPS_CPUS 1\n#endif\n' > "$d/mix.h"
		cat > "$d/mix_c.c" <<-'E'
		// SPDX-License-Identifier: GPL-2.0
		#include <linux/init.h>
		#include <linux/module.h>
		#include <linux/pci.h>
		#include "mix.h"
		static int __init mix_init(void)
		{
			return kdeps_mix_answer(KDEPS_CPUS) ? 0 : -22;
		}
		module_init(mix_init);
		MODULE_DESCRIPTION("kdeps lab module, C and Rust");
		MODULE_LICENSE("GPL");
		E
		cat > "$d/mix_rs.rs" <<-'E'
		// SPDX-License-Identifier: GPL-2.0
		//! The Rust half of a module whose other half is C.
		use kernel::prelude::*;
		/// Called from C.
		#[no_mangle]
		pub extern "C" fn kdeps_mix_answer(x: i32) -> i32 {
		    x - EINVAL.to_errno()
		}
		E
		cat > "$d/sub/kdeps_sub.c" <<-'E'
		// SPDX-License-Identifier: GPL-2.0
		#include <linux/module.h>
		#include "../mix.h"
		int kdeps_sub_cpus = KDEPS_CPUS;
		EXPORT_SYMBOL_GPL(kdeps_sub_cpus);
		MODULE_DESCRIPTION("kdeps lab module, C in a subfolder");
		MODULE_LICENSE("GPL");
		E
		;;
	asm)
		printf 'obj-m := kdeps_asm.o\nkdeps_asm-y := first.o second.o\n' > "$d/Makefile"
		printf '/* SPDX-License-Identifier: GPL-2.0 */\n#define KDEPS_ANSWER 42\n#ifndef __ASSEMBLY__\nint kdeps_answer(void);\n#endif\n' > "$d/asm.h"
		cat > "$d/first.c" <<-'E'
		// SPDX-License-Identifier: GPL-2.0
		#include <linux/init.h>
		#include <linux/module.h>
		#include "asm.h"
		int kdeps_exported(int x)
		{
			return x + KDEPS_ANSWER;
		}
		EXPORT_SYMBOL_GPL(kdeps_exported);
		static int __init first_init(void)
		{
			return kdeps_answer() == KDEPS_ANSWER ? 0 : -22;
		}
		module_init(first_init);
		MODULE_DESCRIPTION("kdeps lab module, C and assembler");
		MODULE_LICENSE("GPL");
		E
		cat > "$d/second.S" <<-'E'
		/* SPDX-License-Identifier: GPL-2.0 */
		#include <linux/linkage.h>
		#include "asm.h"
		SYM_FUNC_START(kdeps_answer)
		#ifdef CONFIG_ARM64
			mov	w0, #KDEPS_ANSWER
			ret
		#else
			movl	$KDEPS_ANSWER, %eax
			RET
		#endif
		SYM_FUNC_END(kdeps_answer)
		E
		;;
	c)
		printf 'obj-m := kdeps_c.o\nkdeps_c-y := one.o two.o\n' > "$d/Makefile"
		printf '/* SPDX-License-Identifier: GPL-2.0 */\nint kdeps_two(void);\n' > "$d/c.h"
		cat > "$d/one.c" <<-'E'
		// SPDX-License-Identifier: GPL-2.0
		#include <linux/init.h>
		#include <linux/module.h>
		#include "c.h"
		static int __init c_init(void)
		{
			return kdeps_two();
		}
		module_init(c_init);
		MODULE_DESCRIPTION("kdeps lab module, C");
		MODULE_LICENSE("GPL");
		E
		printf '// SPDX-License-Identifier: GPL-2.0\n#include <linux/printk.h>\n#include "c.h"\nint kdeps_two(void)\n{\n\tpr_info("two\\n");\n\treturn 0;\n}\n' > "$d/two.c" ;;
	esac
}

author_key() {	# SRC: the module! macro's word for it
	if grep -q authors "$T$1/samples/rust/rust_minimal.rs"; then echo authors; else echo author; fi
}

# Which folder M= must name: up to 7.2 nova-core has its own Makefile rules;
# from 7.3 drivers/gpu/Makefile builds it (and M=drivers/gpu/nova-core succeeds
# but builds nothing).
nova_folder() {	# SRC OBJ
	if grep -q '^obj-' "$T$1/drivers/gpu/nova-core/Makefile" 2>/dev/null; then
		echo drivers/gpu/nova-core
	else
		# its rules write $(objtree)/$(obj)/nova-core/libnova_core.rmeta, and
		# $(obj) is "." with M=
		mkdir -p "$T$2/nova-core"
		echo drivers/gpu
	fi
}

json_list() { local IFS=,; local q=(); for a in "$@"; do q+=("\"$a\""); done; echo "[${q[*]-}]"; }

# manifest NAME ABOUT CWD SRC OBJ PREPARE MAKE-ARGS MODULE...
# PREPARE: true where modules_prepare can run.  MODULE: NAME|LANGUAGES|FOLDER|OUTPUT|MAKE-ARGS
manifest() {
	local name=$1 about=$2 cwd=$3 src=$4 obj=$5 prepare=$6 args=$7 sep='' m
	shift 7
	mkdir -p "$ST/layouts"
	{	printf '{"name": "%s", "about": "%s",\n "cwd": "%s", "srctree": "%s", "objtree": "%s",\n "prepare": %s, "make": %s,\n "modules": [' \
			"$name" "$about" "$cwd" "$src" "$obj" "$prepare" "$(json_list $args)"
		for m in "$@"; do
			local IFS='|'; set -- $m; unset IFS
			printf '%s\n  {"name": "%s", "languages": %s, "folder": "%s", "output": "%s", "make": %s}' \
				"$sep" "$1" "$(json_list $2)" "$3" "$4" "$(json_list $5)"
			sep=,
		done
		printf '\n ]}\n'
	} > "$ST/layouts/$name.json"
}

layout_out() {
	pick_kver
	local S=/root/linux-$KVER B=/root/build-$KVER nova key
	step "source-$KVER" do_source "$KVER" "$S"
	step out-config do_config "$S" "$B" "O=$B" "$RUST_OPTS"
	step out-prepare do_make "$S" LLVM=1 "O=$B" modules_prepare
	nova=$(nova_folder "$S" "$B") key=$(author_key "$S")
	step out-nova do_module "$S" "$S/$nova" LLVM=1 "O=$B" "M=$nova"
	step out-ext1-source write_module /root/ext1 rust "$key"
	step out-ext2-source write_module /root/ext2 mixed "$key"
	step out-ext1 do_module "$S" /root/ext1 LLVM=1 "O=$B" M=/root/ext1
	step out-ext2 do_module "$S" /root/ext2 LLVM=1 "O=$B" M=/root/ext2
	step out-samples do_module "$S" /root/mo-samples LLVM=1 "O=$B" M=samples/rust MO=/root/mo-samples
	manifest out "$KVER, O=" "$S" "$S" "$B" true "LLVM=1 O=$B" \
		"nova|rust|$S/$nova|$S/$nova|M=$nova KBUILD_MODPOST_WARN=1" \
		"ext1|rust|/root/ext1|/root/ext1|M=/root/ext1 KBUILD_MODPOST_WARN=1" \
		"ext2|rust c|/root/ext2|/root/ext2|M=/root/ext2 KBUILD_MODPOST_WARN=1" \
		"samples|rust c|$S/samples/rust|/root/mo-samples|M=samples/rust MO=/root/mo-samples KBUILD_MODPOST_WARN=1"
}

do_copy_source() {	# a second source tree without the first one's module builds
	rm -rf "${T:?}$2"
	cp -a "$T$1" "$T$2"
	find "$T$2" \( -name '*.ko' -o -name '*.o' -o -name '.*.cmd' -o -name '*.mod' -o -name '*.mod.c' \
		-o -name modules.order -o -name Module.symvers \) -type f -delete
}

layout_in() {
	pick_kver
	local S=/root/linux-$KVER-in nova
	step "source-$KVER" do_source "$KVER" "/root/linux-$KVER"
	step in-source do_copy_source "/root/linux-$KVER" "$S"
	step in-config do_config "$S" "$S" '' "$RUST_OPTS -d X86_KERNEL_IBT"
	step in-prepare do_make "$S" LLVM=1 modules_prepare
	nova=$(nova_folder "$S" "$S")
	step in-nova do_module "$S" "$S/$nova" LLVM=1 "M=$nova"
	step in-samples do_module "$S" "$S/samples/rust" LLVM=1 M=samples/rust
	step in-ext3-source write_module /root/ext3 mixed "$(author_key "$S")"
	step in-ext3 do_module "$S" /root/mo-ext3 LLVM=1 M=/root/ext3 MO=/root/mo-ext3
	manifest in "$KVER, in the source tree, no IBT" "$S" "$S" "$S" true "LLVM=1" \
		"nova|rust|$S/$nova|$S/$nova|M=$nova KBUILD_MODPOST_WARN=1" \
		"samples|rust c|$S/samples/rust|$S/samples/rust|M=samples/rust KBUILD_MODPOST_WARN=1" \
		"ext3|rust c|/root/ext3|/root/mo-ext3|M=/root/ext3 MO=/root/mo-ext3 KBUILD_MODPOST_WARN=1"
}

layout_lts() {
	local S=/root/linux-6.12 B=/root/build-6.12 key
	step source-6.12 do_source 6.12 "$S"
	step lts-config do_config "$S" "$B" "O=$B" "$RUST_OPTS"
	step lts-prepare do_make "$S" LLVM=1 "O=$B" modules_prepare
	# absolute: before 6.13 a relative M= is taken from the object tree
	step lts-samples do_module "$S" "$S/samples/rust" LLVM=1 "O=$B" "M=$S/samples/rust"
	key=$(author_key "$S")
	step lts-lts1-source write_module /root/lts1 rust "$key"
	step lts-lts2-source write_module /root/lts2 mixed "$key"
	step lts-lts1 do_module "$S" /root/lts1 LLVM=1 "O=$B" M=/root/lts1
	step lts-lts2 do_module "$S" /root/lts2 LLVM=1 "O=$B" M=/root/lts2
	manifest lts "6.12, O=" "$S" "$S" "$B" true "LLVM=1 O=$B" \
		"samples|rust c|$S/samples/rust|$S/samples/rust|M=$S/samples/rust KBUILD_MODPOST_WARN=1" \
		"lts1|rust|/root/lts1|/root/lts1|M=/root/lts1 KBUILD_MODPOST_WARN=1" \
		"lts2|rust c|/root/lts2|/root/lts2|M=/root/lts2 KBUILD_MODPOST_WARN=1"
}

layout_next() {
	local S=/root/linux-7.3 B=/root/build-7.3 nova
	step source-7.3 do_source 7.3 "$S"
	step next-config do_config "$S" "$B" "O=$B" "$RUST_OPTS"
	step next-prepare do_make "$S" LLVM=1 "O=$B" modules_prepare
	nova=$(nova_folder "$S" "$B")
	step next-nova do_module "$S" "$S/$nova" LLVM=1 "O=$B" "M=$nova"
	step next-next1-source write_module /root/next1 rust "$(author_key "$S")"
	step next-next1 do_module "$S" /root/next1 LLVM=1 "O=$B" M=/root/next1
	manifest next "7.3, O=" "$S" "$S" "$B" true "LLVM=1 O=$B" \
		"nova|rust|$S/$nova|$S/$nova|M=$nova KBUILD_MODPOST_WARN=1" \
		"next1|rust|/root/next1|/root/next1|M=/root/next1 KBUILD_MODPOST_WARN=1"
}

do_headers_package() {
	local v
	v=$(inlab apt-cache search --names-only "^linux-headers-${KVER//./\\.}[.0-9]*\+?[^ ]*-amd64$" |
		awk '$1 !~ /-(cloud|rt)-amd64$/ { print $1 }' | sort -V | tail -n 1)
	[ -n "$v" ] || { echo "no linux-headers package for $KVER"; return 1; }
	inlab apt-get -qqy --no-install-recommends install "$v"
	echo "${v#linux-headers-}" > "$ST/headers-release"
}

layout_headers() {
	pick_kver
	step headers-package do_headers_package
	local H common
	H=/usr/src/linux-headers-$(cat "$ST/headers-release")
	common=${H%-amd64}-common
	step headers-hdr1-source write_module /root/hdr1 c authors
	step headers-hdr1 do_module /root/hdr1 /root/hdr1 -C "$H" M=/root/hdr1
	manifest headers "linux-headers package of $(cat "$ST/headers-release")" \
		/root/hdr1 "$common" "$H" false "-C $H" \
		"hdr1|c|/root/hdr1|/root/hdr1|M=/root/hdr1 KBUILD_MODPOST_WARN=1"
}

layout_c61() {
	local S=/root/linux-6.1 B=/root/build-6.1
	step source-6.1 do_source 6.1 "$S"
	step c61-config do_config "$S" "$B" "O=$B" ''
	step c61-prepare do_make "$S" LLVM=1 "O=$B" modules_prepare
	step c61-source write_module /root/c61 c authors
	step c61-ext do_module "$S" /root/c61 LLVM=1 "O=$B" M=/root/c61
	manifest c61 "6.1, O=, no Rust" "$S" "$S" "$B" true "LLVM=1 O=$B" \
		"c61|c|/root/c61|/root/c61|M=/root/c61 KBUILD_MODPOST_WARN=1"
}

# variant NAME ABOUT OPTIONS KIND...: KVER with O= once more, in another
# configuration and by TOOLS; one module of each KIND of write_module
variant() {
	pick_kver
	local name=$1 about=$2 options=$3 S=${SOURCE:-/root/linux-$KVER} B=/root/build-$KVER-$1
	local make="$TOOLS O=$B" modules=() kind languages
	shift 3
	step "source-$KVER" do_source "$KVER" "/root/linux-$KVER"
	step "$name-config" do_config "$S" "$B" "O=$B" "$options"
	step "$name-prepare" do_make "$S" $make modules_prepare
	[ -z "${SYMVERS-}" ] || step "$name-symvers" do_symvers "$B"
	for kind in "$@"; do
		local d=/root/$name-$kind
		case $kind in rust) languages=rust ;; mixed) languages='rust c' ;; *) languages=c ;; esac
		step "$name-$kind-source" write_module "$d" "$kind" "$(author_key "$S")"
		step "$name-$kind" do_module "$S" "$d" $make "M=$d"
		modules+=("$kind|$languages|$d|$d|M=$d KBUILD_MODPOST_WARN=1")
	done
	manifest "$name" "$KVER, $about" "$S" "$S" "$B" true "$make" "${modules[@]}"
}

layout_inline() {
	variant inline 'O=, helpers inlined, thin LTO' \
		"-e EXPERT $RUST_OPTS -e RUST_INLINE_HELPERS -d LTO_NONE -e LTO_CLANG_THIN" rust mixed asm
	grep -q ^CONFIG_RUST_INLINE_HELPERS=y "$T/root/build-$KVER-inline/.config" || die 'no inline helpers'
}
DWARF='-d DEBUG_INFO_NONE -e DEBUG_KERNEL -e DEBUG_INFO -e DEBUG_INFO_DWARF5 -d DEBUG_INFO_REDUCED -d DEBUG_INFO_BTF'
# do_symvers OBJ: a Module.symvers of what the crates export, by their records;
# without one extended MODVERSIONS make an empty list, which no compiler takes
do_symvers() {
	{	printf '0x12345678\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n'
		sed -n 's/^#SYMVER \([^ ]*\) \(0x[0-9a-f]*\)$/\2\t\1\tvmlinux\tEXPORT_SYMBOL_GPL\t/p' \
			"$T$1"/rust/.*.o.cmd | sort -u -k2,2
	} > "$T$1/Module.symvers"
}
layout_modver() {
	local SYMVERS=1
	variant modver 'O=, MODVERSIONS by gendwarfksyms' \
		"$DWARF -e MODVERSIONS -d GENKSYMS -e GENDWARFKSYMS $RUST_OPTS" rust mixed asm
}
layout_genksyms() { variant genksyms 'O=, MODVERSIONS by genksyms' '-e MODVERSIONS -e GENKSYMS' c asm; }
layout_gcc() { local TOOLS=''; variant gcc 'O=, gcc' "$RUST_OPTS" rust mixed asm; }
layout_arm64() {
	pick_kver
	local TOOLS='LLVM=1 ARCH=arm64' SOURCE=/root/linux-$KVER
	step "source-$KVER" do_source "$KVER" "$SOURCE"
	# The source of a lab that was made before this layout lacks the architecture.
	if [ ! -e "$T$SOURCE/arch/arm64/kernel/head.S" ]; then
		SOURCE=/root/linux-$KVER-arm64
		step arm64-source do_source "$KVER" "$SOURCE"
	fi
	variant arm64 'O=, arm64' "$RUST_OPTS" rust mixed asm
}

# do_install_headers FROM TO: what a package of a distribution installs of an
# in-source build, by the list that Arch's has; Fedora's differs in folders.
do_install_headers() {
	inlab bash -ec '
		cd "$1"; rm -rf "$2"; mkdir -p "$2/rust" "$2/arch/x86/kernel" "$2/tools/objtool" "$2/kernel"
		cp -a .config Makefile scripts include "$2"
		cp -a kernel/Makefile "$2/kernel"
		cp -a arch/x86/Makefile* arch/x86/include "$2/arch/x86"
		[ ! -e arch/x86/kernel/asm-offsets.s ] || cp -a arch/x86/kernel/asm-offsets.s "$2/arch/x86/kernel"
		cp -a tools/objtool/objtool "$2/tools/objtool"
		find . -name "Kconfig*" -exec cp -a --parents {} "$2" \;
		cp -a rust/*.rmeta rust/*.so "$2/rust"
		cd "$2"
		find . -type f \( -name "*.o" -o -name ".*.cmd" \) -delete
		find . -type l ! -exec test -e {} \; -delete' _ "$1" "$2"
}

layout_rusthdr() {
	layout_in
	local S=/root/linux-$KVER-in H=/usr/src/kernels/$KVER-rusthdr
	step rusthdr-install do_install_headers "$S" "$H"
	step rusthdr-rust-source write_module /root/rusthdr-rust rust "$(author_key "$S")"
	step rusthdr-mixed-source write_module /root/rusthdr-mixed mixed "$(author_key "$S")"
	step rusthdr-rust do_module /root/rusthdr-rust /root/rusthdr-rust LLVM=1 -C "$H" M=/root/rusthdr-rust
	step rusthdr-mixed do_module /root/rusthdr-mixed /root/rusthdr-mixed LLVM=1 -C "$H" M=/root/rusthdr-mixed
	manifest rusthdr "$KVER installed with crates, without records" \
		/root/rusthdr-rust "$H" "$H" false "LLVM=1 -C $H" \
		"rust|rust|/root/rusthdr-rust|/root/rusthdr-rust|M=/root/rusthdr-rust KBUILD_MODPOST_WARN=1" \
		"mixed|rust c|/root/rusthdr-mixed|/root/rusthdr-mixed|M=/root/rusthdr-mixed KBUILD_MODPOST_WARN=1"
}

# whole_kernel NAME OPTIONS [BASE]: one kernel with all its modules.  It is no
# layout of the module suites: tests/campaigns/whole reads trees/NAME.json.
whole_kernel() {
	pick_kver
	local S=/root/linux-$KVER-whole B=/root/$1-$KVER
	step whole-source do_source "$KVER" "$S" all
	step "${STAMP-$1}-config" do_config "$S" "$B" "O=$B" "$RUST_OPTS $2" ${3-}
	step "${STAMP-$1}-build" do_make "$S" LLVM=1 "O=$B"
	mkdir -p "$ST/trees"
	printf '{"name": "%s", "cwd": "%s", "srctree": "%s", "objtree": "%s", "make": ["LLVM=1", "O=%s"]}\n' \
		"$1" "$S" "$S" "$B" "$B" > "$ST/trees/$1.json"
}
# What a kernel needs to start from an initramfs, with its log on a serial line,
# and to print build ids in traces.
BOOT_OPTS='-e BLK_DEV_INITRD -e RD_GZIP -e BINFMT_ELF -e BINFMT_SCRIPT -e DEVTMPFS -e TMPFS -e TTY -e SERIAL_8250
	-e SERIAL_8250_CONSOLE -e PRINTK_TIME -e BUG -e DEBUG_KERNEL -e STACKTRACE_BUILD_ID -e FUTEX -e EPOLL -e MULTIUSER'
layout_small() { local STAMP=small-bootable; whole_kernel small "${BOOT_OPTS//[$'\n\t']/ }"; }
# MODVERSIONS without GENDWARFKSYMS silently switches Rust off.
layout_whole() { whole_kernel whole '-d MODVERSIONS' defconfig; }

case ${1:-} in
enter)
	shift
	[ $# -gt 0 ] || set -- bash -l
	trap - ERR
	inlab "$@"
	exit ;;
list)
	cat "$ST"/layouts/*.json "$ST"/trees/*.json 2>/dev/null || echo "nothing built in $T"
	exit ;;
forget)
	shift
	[ $# -gt 0 ] || set -- "${ALL[@]}"
	for l in "$@"; do rm -f "$ST/$l"-* "$ST/layouts/$l.json" "$ST/trees/$l.json"; done
	exit ;;
esac

[ $# -gt 0 ] || set -- "${ALL[@]}"
for l in "$@"; do
	case " ${ALL[*]} ${MORE[*]} ${WHOLE[*]} " in *" $l "*) ;;
	*) die "unknown layout '$l'; there are: ${ALL[*]} ${MORE[*]} ${WHOLE[*]}" ;; esac
done
[ "$(id -u)" = 0 ] || die 'run as root'
if [ -z "$MIRROR" ]; then
	MIRROR=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -m1 '/debian/$' || :)
	[ -n "$MIRROR" ] || die 'apt here knows no Debian mirror: run apt-get update, or give -m'
fi
step boot do_boot
# A lab that was made before the list grew gets what it lacks.
step "packages-$(echo $PACKAGES | cksum | cut -d' ' -f1)" do_packages
[ -x "$T/usr/local/bin/muon" ] || do_samurai > "$ST/log" 2>&1 ||
	say 'samurai cannot be had from this mirror: the lab is made without it'
for l in "$@"; do
	"layout_$l"
done
say "lab ready: $T ($*)"
