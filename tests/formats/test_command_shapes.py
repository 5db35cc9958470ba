# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every shape of command that Kbuild records: what it reads, what it leaves, which programs of the tree it runs.

The shapes are those of real records (an x86 kernel with bzImage, arm64, device trees, firmware); names are ours.
"""

from __future__ import annotations

import pytest

from kdeps.formats.command import CommandFiles, parse_command, read_steps

# target, command, inputs (programs and scripts of the tree first)
SHAPES = (
    # -- groups, subshells, pipes ---------------------------------------------------------------
    ("b/image", "(dd if=b/setup.img bs=4k conv=sync status=none; cat b/kernel) >b/image", "b/setup.img b/kernel"),
    ("b/k.xz", r"{ cat b/k.bin | sh ../scripts/wrap.sh; printf \130\064\024\000; } > b/k.xz", "b/k.bin ../scripts/wrap.sh"),
    ("b/k.zst", r"{ cat b/k.bin b/k.relocs | zstd -22 --ultra; printf \340\362\066; } > b/k.zst", "b/k.bin b/k.relocs"),
    ("b/k.gz", "cat b/k.bin b/k.relocs | gzip -n -f -9 > b/k.gz", "b/k.bin b/k.relocs"),
    ("modules.order", "{   cat init/modules.order;   echo a.o;   echo sub/b.o; :; } > modules.order", "init/modules.order a.o sub/b.o"),
    ("lib/lib.a", "rm -f lib/lib.a; ar cDPrsT lib/lib.a lib/argv.o lib/bug.o", "lib/argv.o lib/bug.o"),
    ("built-in.a", 'rm -f built-in.a;  printf "./%s " init/built-in.a usr/built-in.a | xargs ar cDPrST built-in.a', "./init/built-in.a ./usr/built-in.a"),
    ("net/built-in.a", 'rm -f net/built-in.a;  printf "net/%s " a.o c/d.o | xargs llvm-ar-19 cDPrST net/built-in.a', "net/a.o net/c/d.o"),
    ("v.a", "rm -f v.a; ar cDPrST v.a built-in.a  lib/lib.a; ar mPiT $$(ar t v.a | sed -n 1p) v.a $$(ar t v.a | grep -F -f ../heads.txt)", "built-in.a lib/lib.a ../heads.txt"),
    ("d/o.dtbo.S", """{ base=__dtbo_x; echo '$(pound)include <asm/x.h>'; echo ".global $${base}_begin"; echo '.incbin "d/o.dtbo" '; } > d/o.dtbo.S""", ""),
    ("p.h", r"""{  printf 'static char p[] =\n'; sed -e 's/\\/\\\\/g' -e 's/\"/\\"/g' -- /dev/null; printf '\t"";\n'; sed -e 's/a/b/' -- ../s/policy.conf; } > p.h""", "../s/policy.conf"),
    ("p.h", """(echo "static char a[] ="; ./scripts/tobytes </dev/null; echo ";"; ./scripts/tobytes <../s/policy.conf; echo ";") >p.h""", "./scripts/tobytes ../s/policy.conf"),
    # -- text tools -----------------------------------------------------------------------------
    ("u.c", "cat ../fs/u.c_shipped > u.c", "../fs/u.c_shipped"),
    ("t.c", r"sed -n 's/.*define *FLAG_\([A-Z0-9_]*\) *.*/NAME(\1),/p' ../include/flags.h > t.c", "../include/flags.h"),
    ("c.h", "awk -f ../tools/gen.awk ../tools/caps > c.h", "../tools/gen.awk ../tools/caps"),
    ("i.c", "awk -v N=1 -f ../lib/unroll.awk < ../lib/i.uc > i.c", "../lib/unroll.awk ../lib/i.uc"),
    ("e.h", """llvm-nm -p --defined-only r/core.o | awk '$$2~/(T|R)/ && $$3!~/__(pfx)/ { printf "E(%s);\\n",$$3 }' > e.h""", "r/core.o"),
    ("v.h", r"nm vmlinux | sed -n -e 's/^\([0-9a-f]*\) [ABb] \(_text\|_end\)$/#define V_\2 _AC(0x\1,UL)/p' > v.h", "vmlinux"),
    ("n.h", "sed -ne 's/x/y/p' in.txt | sort -u > n.h", "in.txt"),
    # -- compilers and linkers -------------------------------------------------------------------
    ("t/relocs", "gcc   -o t/relocs t/relocs_32.o t/relocs_64.o", "t/relocs_32.o t/relocs_64.o"),
    ("t/relocs", "ccache gcc-13 -o t/relocs t/relocs_32.o", "t/relocs_32.o"),
    ("x.dts.tmp", "gcc -E -Wp,-MMD,.x.d.pre.tmp -nostdinc -I ../inc -undef -D__DTS__ -x assembler-with-cpp -o x.dts.tmp ../x.dts", "../x.dts"),
    ("e.o", """clang -Wp,-MMD,.e.o.d -include ../kconfig.h --target=x86_64-linux-gnu -DKBUILD_MODFILE='"a/e"' -c -o e.o ../e.S""", "../kconfig.h ../e.S"),
    ("a.o", "aarch64-linux-gnu-gcc-14 -I ../inc --param max-x=1 -c -o a.o a.c", "a.c"),
    ("v.so.dbg", r"""ld -o v.so.dbg -shared --build-id=sha1 -z noexecstack -m elf_x86_64 -soname v.so.1 -T v.lds n.o g.o; if readelf -rW v.so.dbg | grep -v _NONE | grep -q " R_\w*_"; then (echo >&2 "v.so.dbg: no"; rm -f v.so.dbg; /bin/false); fi""", "v.lds n.o g.o"),
    ("v.so.dbg", "ld -o v.so.dbg -T v.lds n.o && sh ./a/checkundef.sh 'nm' 'v.so.dbg'; if objdump -R v.so.dbg | grep -E -h \"J|G\"; then false; fi", "v.lds n.o ./a/checkundef.sh"),
    ("vmlinux.o", "ld.lld -m elf_x86_64 -r -o vmlinux.o   --whole-archive vmlinux.a --no-whole-archive --start-group  --end-group", "vmlinux.a"),
    ("m.o", "ld.lld -r -o m.o @m.mod  ; ./tools/objtool/objtool --ibt  --link  --module m.o", "m.mod ./tools/objtool/objtool"),
    ("k.bin", "objcopy --remove-section='.rel*' -O binary vmlinux.raw k.bin", "vmlinux.raw"),
    ("m.stub.o", "strip --strip-debug -o m.stub.o m.o", "m.o"),
    ("k.bin", "cp b/Image k.bin; truncate -s $$(hexdump -s16 -n4 -e '\"%u\"' b/Image) k.bin", "b/Image"),
    ("r/core.o", "OBJTREE=/o rustc --target=./scripts/target.json @./inc/rustc_cfg --cfg='x' --emit=dep-info=r/.core.o.d --emit=obj=r/core.o --emit=metadata=r/libcore.rmeta --crate-type rlib -L./r --crate-name core /lib/core/lib.rs --sysroot=/dev/null ;llvm-objcopy --redefine-sym a=b r/core.o", "./inc/rustc_cfg /lib/core/lib.rs ./scripts/target.json"),
    ("t", "rustdoc --test --extern ffi --extern kernel --crate-name kernel --test-builder ./scripts/builder ../r/lib.rs >/dev/null", "./scripts/builder ../r/lib.rs"),
    ("m.o", "rustc --emit=dep-info=.m.o.d --extern clib=/c/libclib.rmeta --extern noprelude:k=/k/libk.rmeta --extern std --emit=obj=m.o m.rs", "m.rs /c/libclib.rmeta /k/libk.rmeta"),
    ("b.rs", "bindgen ../r/helper.h --blocklist-type __s?size_t --opaque-type '.*' --rust-target 1.68 -o b.rs -- -Wp,-MMD,.b.rs.d -nostdinc -I../inc -include ../cv.h -D__KERNEL__; sed -Ei 's/pub const X_([a-z]*)/pub const \\1/g' b.rs", "../r/helper.h ../cv.h"),
    # -- generators ------------------------------------------------------------------------------
    ("l.c", "flex -ol.c -L ../l.l", "../l.l"),
    ("p.h", "bison -o p.c --defines=p.h -t -l ../p.y", "../p.y"),
    ("k.pem", "openssl req -new -nodes -x509 -config c/x509.genkey -outform PEM -out k.pem -keyout k.pem  2>&1", "c/x509.genkey"),
    ("p.S", "perl ../lib/p.pl > p.S", "../lib/p.pl"),
    ("vmlinux", '../scripts/link-vmlinux.sh "ld" "-m elf_x86_64 -z x" "--build-id=sha1" "vmlinux";  true', "../scripts/link-vmlinux.sh vmlinux.a"),
    ("u.h", "sh ../scripts/syscallhdr.sh --abis common,64 --emit-nr   ../s/64.tbl u.h", "../scripts/syscallhdr.sh ../s/64.tbl"),
    ("c.c", "sh ../cpu/mkflags.sh c.c ../cpu/../inc/a.h ../cpu/mkflags.sh FORCE", "../cpu/mkflags.sh ../cpu/../inc/a.h"),
    ("o.h", "mkdir -p gen/; sh ../scripts/hash.sh < ../inc/orc.h > o.h", "../scripts/hash.sh ../inc/orc.h"),
    ("x.h", "sh '../scripts/xen.sh' x.h ../xen/a.h ../xen/b.h", "../scripts/xen.sh ../xen/a.h ../xen/b.h"),
    ("usr/i.cpio", "sh ../usr/gen_initramfs.sh -o usr/i.cpio -l usr/.i.cpio.d    ../usr/list", "../usr/gen_initramfs.sh ../usr/list"),
    ("uImage", "bash ../scripts/mkuboot.sh -A arm -O linux -a 0x8000 -n 'Linux-6.15.0' -d b/zImage uImage", "../scripts/mkuboot.sh b/zImage"),
    ("h.h", "/bin/sh -e ../tools/hwcaps.sh ../uapi/hwcap.h > h.h", "../tools/hwcaps.sh ../uapi/hwcap.h"),
    ("i.c", "vdso/vdso2c v.so.dbg v.so i.c", "vdso/vdso2c v.so.dbg v.so"),
    ("p.S", "boot/mkpiggy boot/k.gz > p.S", "boot/mkpiggy boot/k.gz"),
    ("k.relocs", "t/relocs vmlinux.raw > k.relocs;t/relocs --abs-relocs vmlinux.raw", "t/relocs vmlinux.raw"),
    ("bzImage", "tools/build setup.bin k.bin zo.h bzImage", "tools/build setup.bin k.bin zo.h"),
    ("s.x509", 'certs/extract ""  s.x509', "certs/extract"),
    ("e.dtb", "./scripts/dtc/dtc -o e.dtb -b 0 -i../of/ -Wno-x   -d .e.d.dtc.tmp .e.dts.tmp ; cat .e.d.pre.tmp .e.d.dtc.tmp > .e.d", "./scripts/dtc/dtc .e.dts.tmp .e.d.pre.tmp"),
    ("l.c", "logo/pnmtologo -t clut224 -n logo_x -o l.c ../logo/l.ppm", "logo/pnmtologo ../logo/l.ppm"),
    ("r.h", "radeon/mkregtable ../reg_srcs/r100 > r.h", "radeon/mkregtable ../reg_srcs/r100"),
    ("cpustr.h", "boot/mkcpustr > cpustr.h", "boot/mkcpustr"),
    ("g.h", "mkdir -p g && python3 -B ../reg/gen_header.py --no-validate --rnn ../reg --xml ../reg/a.xml c-defines > g.h", "../reg/gen_header.py ../reg/a.xml"),
    # -- another folder ---------------------------------------------------------------------------
    ("o.txt", "cd /k/s && scripts/gen.sh in.txt > /k/b/o.txt", "/k/s/scripts/gen.sh /k/s/in.txt"),
    ("x.h", "cd lib/foo && ../../scripts/gen.sh in.txt ../../x.h; cat a.txt", "scripts/gen.sh lib/foo/in.txt lib/foo/a.txt"),
    ("x.h", "(cd lib; perl gen.pl a.txt) > x.h; cat b.txt >> x.h", "lib/gen.pl lib/a.txt b.txt"),
    ("x.h", "(cd a; cat 1.txt); (cat 2.txt; cd b; (cd c; cat 3.txt); cat 4.txt) > x.h", "a/1.txt 2.txt b/c/3.txt b/4.txt"),
    ("x.h", "cd lib; sh gen.sh < a.txt > ../x.h; cd ..; cat c.txt", "lib/gen.sh lib/a.txt c.txt"),
    ("x.h", "echo $$(cd lib && cat v.txt) > x.h; cat w.txt", "lib/v.txt w.txt"),
    ("x.h", "cd $$(dirname lib/x) && cat a.txt > x.h", ""),
    ("x.h", "for f in a.txt b/c.txt; do cat $$f; done > x.h", "a.txt b/c.txt"),
    ("a.o", "exec gcc -c -o a.o a.c", "a.c"),
    # -- behind another program -------------------------------------------------------------------
    ("a.o", "ccache gcc -c -o a.o a.c", "a.c"),
    ("a.o", "env A=1 gcc -c -o a.o a.c", "a.c"),
    ("a.o", "env -u A B=1 aarch64-linux-gnu-gcc-14 -c -o a.o a.c", "a.c"),
    ("a.o", "env A=b/c.d nice -n 5 clang -c -o a.o a.c", "a.c"),
    ("a.o", "chrt -o 0 rustc --out-dir ./ --emit=obj=a.o a.rs", "a.rs"),
    ("a.o", "A=1 env B=1 /usr/bin/rustc --out-dir ./ --emit=obj=a.o --extern x=../x/libx.rmeta a.rs", "a.rs ../x/libx.rmeta"),
    ("a.ko", "nice -n 5 ld.lld -r -T s.lds -o a.ko a.o", "s.lds a.o"),
    ("b.rs", "env A=1 bindgen --rust-target 1.68 -o b.rs b.h -- -Iinc -include i.h", "b.h i.h"),
    ("t.c", "env LC_ALL=C sort in.txt > t.c", "in.txt"),
    ("a.h", "./wrap gcc -c a.c > a.h", "./wrap a.c"),
)  # fmt: skip


@pytest.mark.parametrize(("target", "command", "expected"), SHAPES)
def test_a_command_of_each_shape_names_what_it_reads(target: str, command: str, expected: str) -> None:
    """Nothing is missing and nothing is guessed: the inputs are these."""
    assert set(parse_command(command, target).inputs) == set(expected.split())


INLINE = (
    "rustc --emit=dep-info=r/.k.o.d --emit=llvm-bc=r/k.bc --emit=metadata=r/libk.rmeta k.rs ;llvm-link --internalize"
    " --suppress-warnings r/k.bc r/helpers/helpers.bc -o r/k.m.bc; clang --target=x86_64-linux-gnu -O2"
    " -c r/k.m.bc -o r/k.o ; ./tools/objtool/objtool r/k.o"
)
"""``CONFIG_RUST_INLINE_HELPERS``: three compilers, one after the other (7.2)."""


def test_what_one_step_hands_to_the_next_is_no_input_and_no_output() -> None:
    """Of a crate with inlined helpers the bitcode between its compilers belongs to none but its recipe."""
    assert parse_command(INLINE, "r/k.o") == CommandFiles(
        inputs=("k.rs", "r/helpers/helpers.bc", "./tools/objtool/objtool"),
        outputs=("r/libk.rmeta",),
        responses=(),
        tools=("./tools/objtool/objtool",),
        unlisted=("r/helpers/helpers.bc", "./tools/objtool/objtool"),
    )


def test_a_command_is_several_steps() -> None:
    """Each step has a program, inputs and outputs of its own."""
    steps = [(s.program, s.inputs, s.outputs) for s in read_steps(INLINE)]
    assert steps == [
        ("rustc", ("k.rs",), ("r/.k.o.d", "r/k.bc", "r/libk.rmeta")),
        ("llvm-link", ("r/k.bc", "r/helpers/helpers.bc"), ("r/k.m.bc",)),
        ("clang", ("r/k.m.bc",), ("r/k.o",)),
        ("./tools/objtool/objtool", ("./tools/objtool/objtool", "r/k.o"), ("r/k.o",)),
    ]


@pytest.mark.parametrize(
    ("command", "outputs"),
    [
        ("selinux/genheaders flask.h av.h", ("av.h",)),
        ("bison -o p.c --defines=p.h -l p.y", ("p.c", "p.h")),
        ("gcc -c -o .tmp_a.o a.c; mv .tmp_a.o a.o", ("a.o",)),
    ],
)
def test_a_command_names_what_it_leaves(command: str, outputs: tuple[str, ...]) -> None:
    """Files that are written besides the target; one that is moved away is not left."""
    assert parse_command(command, "flask.h").outputs == outputs
