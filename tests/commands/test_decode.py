# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""``kdeps decode``: a filter that loses no byte, and names a build or none."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from kdeps.running.build_id import read_file_id
from kdeps.running.provenance import Sources, remember_origins
from kdeps.running.symbol_sizes import SymbolSizes, read_symbol_sizes
from tests.conftest import CHECKOUT
from tests.support.decode import NAME, READABLE, decode
from tests.support.elf_objects import find_compiler
from tests.support.machine import build_module
from tests.support.miniature import MODULE, Miniature
from tests.support.program import run_text

SOURCE = """\
extern volatile int *target;
volatile int *target;
static __attribute__((noinline)) int trigger(int a)
{
    *target = a;
    return *target + a;
}
int demo_init(void)
{
    return trigger(3) + 1;
}
void demo_exit(void) {}
"""
KERNEL = """\
const char linux_banner[] = "Linux version 7.2.13 (a@b) (clang) #3 SMP\\n";
int do_one_initcall(int a) { return a + 1; }
int _start(void) { return do_one_initcall(2); }
"""


def start(stdin: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "kdeps", "decode"],
        cwd=CHECKOUT, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip


# -- the filter ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "text"),
    [
        (b"[ 1.0]  ? %s+0x1/0x2 [m]\n", b"[ 1.0]  ? %s+0x1/0x2 [m]\n"),
        (b"\x1b[31m%s\x1b[0m \x1b[1m%s\x1b[m%s\n", b"\x1b[31m%s\x1b[0m \x1b[1m%s\x1b[m%s\n"),
        (b"<4>[T1] __pfx_%s+0x0/0x10\r\n", b"<4>[T1] __pfx_%s+0x0/0x10\r\n"),
        (b"in %s.\nno end: %s", b"in %s.\nno end: %s"),
        (b"\0\xff\xfe%s\0\x80\n\n\n", b"\0\xff\xfe%s\0\x80\n\n\n"),
        (b"%s.cold+0x1/0x2\n", b"%s (.cold)+0x1/0x2\n"),
        (b"x%s _Rx _RNvC1a\n".replace(b"%s", b"_RNvC1a1b"), b"x_RNvC1a1b _Rx _RNvC1a\n"),
        (b"", b""),
    ],
)  # fmt: skip
def test_names_become_readable_and_all_else_stays(log: bytes, text: bytes) -> None:
    done = decode(log=log.replace(b"%s", NAME))
    assert done.stdout == text.replace(b"%s", READABLE)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_huge_line_is_passed_on_in_pieces() -> None:
    """Names at the borders of pieces are whole; a word longer than any name is let through."""
    log = (b"x " * 12_345 + NAME + b"+0x1/0x2 ") * 40 + b"y" * 400_000 + b" " + NAME
    assert decode(log=log).stdout == log.replace(NAME, READABLE)


def test_binary_noise_is_passed_on_unchanged() -> None:
    log = bytes(range(256)) * 4000 + os.urandom(200_000).replace(b"_R", b"__")
    assert decode(log=log).stdout == log


def test_without_a_tool_names_stay_and_one_note_says_so(tmp_path: Path) -> None:
    done = decode(log=(NAME + b"\n") * 3, env={"PATH": str(tmp_path)})
    assert done.stdout == (NAME + b"\n") * 3
    assert done.stderr == b"kdeps: note: no llvm-cxxfilt or c++filt found: Rust names stay mangled\n"
    assert done.returncode == 0


def test_each_line_comes_at_once() -> None:
    """As in ``dmesg -w | kdeps decode``: an answer before the next line is written."""
    with start(subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(b"%d %s\n" % (number, NAME))
            process.stdin.flush()
            assert process.stdout.readline() == b"%d %s\n" % (number, READABLE)
        process.stdin.close()
        assert process.wait(60) == 0


def test_it_ends_when_its_reader_has_gone_although_the_log_is_silent() -> None:
    with start(subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"line\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.wait(60) == 2
        assert process.stderr.read() == b""


def test_it_ends_when_its_reader_stops_in_an_endless_log() -> None:
    with subprocess.Popen(["yes", NAME], stdout=subprocess.PIPE) as endless:
        assert endless.stdout is not None
        with start(endless.stdout.fileno()) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == READABLE + b"\n"
            process.stdout.close()
            assert process.wait(60) == 2
        endless.kill()


# -- which build --------------------------------------------------------------------


def compile_c(source: Path, target: Path, *options: str) -> None:
    command = [find_compiler(), "-g", "-O1", "-ffreestanding", "-fno-pic", "-fcf-protection=none", *options]
    subprocess.run([*command, str(source), "-o", str(target)], check=True)


class Built:
    """A miniature with a real vmlinux and a real module in it, and the log that they would write."""

    def __init__(self, tree: Miniature) -> None:
        self.tree = tree
        folder = tree.srctree / MODULE
        self.module = folder / "oops-demo.ko"
        self.source = folder / "oops-demo-source.c"
        self.source.write_text(SOURCE)
        compile_c(self.source, self.module, "-c")
        self.vmlinux = tree.objtree / "vmlinux"
        kernel = tree.srctree / "kernel.c"
        kernel.write_text(KERNEL)
        compile_c(kernel, self.vmlinux, "-nostdlib", "-static", "-Wl,--build-id=sha1")
        self.words = (*tree.tree_args, f"M={MODULE}")

    def symbols(self, path: Path) -> SymbolSizes:
        with path.open("rb") as file:
            return read_symbol_sizes(str(path), file)

    def frame(self, path: Path, symbol: str, offset: int, module: str = "") -> str:
        size = self.symbols(path).find(symbol)[0].size
        return f"{symbol}+{offset:#x}/{size:#x}{module and f' [{module}]'}"

    def log(self, release: str = "7.2.13", number: str = "#3", banner: str = "") -> str:
        trigger = self.frame(self.module, "trigger", 0, "oops_demo")
        init = self.frame(self.module, "demo_init", 10, "oops_demo")
        start = self.frame(self.vmlinux, "do_one_initcall", 2)
        lines = [
            *([banner] if banner else []),
            "BUG: kernel NULL pointer dereference, address: 0000000000000000",
            f"CPU: 0 UID: 0 PID: 61 Comm: insmod Tainted: G O {release} {number} PREEMPT",
            f"RIP: 0010:{trigger}", "Call Trace:", " <TASK>", f" ? {start}", f" {init}", f" {start}", " </TASK>",
            "---[ end trace 0000000000000000 ]---", f"RIP: 0010:{trigger}", "next line",
        ]  # fmt: skip
        return "".join(f"[    1.0] {line}\n" for line in lines)

    def decode(self, log: str, *words: str) -> tuple[int, list[str], str]:
        """The exit status, the lines that were added, and standard error."""
        done = run_text(
            ("decode", *(words or self.words)), cwd=self.tree.srctree, env=self.tree.environment(), stdin=log
        )
        lines = done.stdout.splitlines()
        added = [line for line in lines if line.startswith("kdeps: ")]
        assert "".join(f"{line}\n" for line in lines if line not in added) == log.replace(
            NAME.decode(), READABLE.decode()
        )
        return done.returncode, added, done.stderr


@pytest.fixture
def built(tree: Miniature) -> Built:
    (tree.objtree / "include/config/kernel.release").write_text("7.2.13\n")
    return Built(tree)


def test_an_oops_of_this_build_gets_file_and_line(built: Built) -> None:
    """Behind its last line; the line of a caller is that of the call, and not the one behind it."""
    status, added, errors = built.decode(built.log())
    source = f"{MODULE}/oops-demo-source.c"
    assert (status, errors) == (0, "")
    assert added[0] == "kdeps: this build: 2 frames fit oops_demo.ko, 1 frame fit vmlinux"
    assert added[1] == "kdeps:   trigger+0x0 [oops_demo]"
    assert added[2].startswith(f"kdeps:     {source}:")
    assert added[3] == "kdeps:   demo_init+0xa [oops_demo]"
    assert added[4] == f"kdeps:     {source}:10"


@pytest.mark.parametrize(
    ("release", "number", "text"),
    [
        ("7.2.12", "#3", "the log is of kernel 7.2.12, this tree is 7.2.13"),
        ("7.2.13", "#2", "the log is of build #2, vmlinux here is #3"),
    ],
)
def test_another_kernel_is_another_build(built: Built, release: str, number: str, text: str) -> None:
    status, added, _ = built.decode(built.log(release, number))
    assert status == 1
    assert added == [
        f"kdeps: another build: {text}",
        "kdeps:   which one cannot be told without build ids; CONFIG_STACKTRACE_BUILD_ID=y prints them",
        "kdeps:   no file and line is added, because the sources here are not those of this log",
    ]


def test_the_banner_of_the_boot_counts(built: Built) -> None:
    """The same release and number, linked at another time."""
    banner = "Linux version 7.2.13 (a@b) (clang) #3 SMP"
    assert built.decode(built.log(banner=banner))[0] == 0
    status, added, _ = built.decode(built.log(banner=f"{banner} Mon"))
    assert status == 1
    assert f"the log is of “{banner} Mon”, vmlinux here is “{banner}”" in added[0]


def test_one_function_of_another_size_is_another_build(built: Built) -> None:
    log = built.log()
    built.source.write_text(SOURCE.replace("return trigger(3) + 1", "return trigger(3) + trigger(4) * 5"))
    compile_c(built.source, built.module, "-c")
    status, added, _ = built.decode(log)
    assert status == 1
    assert added[0].startswith("kdeps: another build: demo_init [oops_demo] was 0x")
    assert len(added) == 3


def test_a_doubted_frame_counts_for_nothing(built: Built) -> None:
    log = built.log().replace(" ? do_one_initcall", " ? of_another_kernel")
    assert built.decode(log)[0] == 0


def test_a_function_that_is_not_here_is_another_build(built: Built) -> None:
    status, added, _ = built.decode(built.log().replace("demo_init+", f"{NAME.decode()}+"))
    assert status == 1
    assert "oops_demo::trigger [oops_demo] is not here" in added[0]


def test_nothing_to_compare_with_is_no_answer(built: Built) -> None:
    log = built.log()
    built.module.unlink()
    built.vmlinux.unlink()
    status, added, _ = built.decode(log)
    assert status == 2
    assert added == [
        "kdeps: cannot tell which build this is from: no oops_demo.ko, vmlinux here to compare with"
    ]


def test_a_build_id_in_a_frame_decides(built: Built) -> None:
    compile_c(built.source, built.module, "-c")
    subprocess.run(["ld", "-r", "--build-id=sha1", "-o", f"{built.module}.1", str(built.module)], check=True)
    os.replace(f"{built.module}.1", built.module)
    build_id = built.symbols(built.module).build_id
    assert build_id
    log = built.log().replace("[oops_demo]", f"[oops_demo {build_id}]")
    status, added, _ = built.decode(log)
    assert (status, added[0]) == (
        0,
        "kdeps: this build: oops_demo.ko has the same build id, 2 frames fit oops_demo.ko, 1 frame fit vmlinux",
    )
    other = f"{'0' * 8}{build_id[8:]}"
    status, added, _ = built.decode(log.replace(build_id, other))
    assert (status, added[0]) == (
        1,
        f"kdeps: another build: oops_demo.ko had the build id {other[:12]}…, here it has {build_id[:12]}…",
    )


def test_another_build_that_is_remembered_is_named(built: Built) -> None:
    """What kdeps make remembered of a build id: when it was linked, from which commit, before which edit."""
    old = built.source.with_name("old.ko")
    old.write_bytes(build_module(old.parent / "old", 1))
    build_id = read_file_id(str(old)) or ""
    os.utime(old, (1_700_000_000, 1_700_000_000))
    compile_c(built.source, built.module, "-c")
    subprocess.run(["ld", "-r", "--build-id=sha1", "-o", f"{built.module}.1", str(built.module)], check=True)
    os.replace(f"{built.module}.1", built.module)
    contents = {str(built.source): bytes(32)}
    remember_origins(
        {str(old): Sources("00" * 20, contents)}, str(built.tree.srctree), dict(built.tree.environment())
    )
    log = built.log().replace("[oops_demo]", f"[oops_demo {build_id}]")
    status, added, _ = built.decode(log)
    assert status == 1
    assert f"oops_demo.ko had the build id {build_id[:12]}…, here it has " in added[0]
    assert added[1].startswith("kdeps:   oops_demo.ko of this log: built on 2023-11-1")
    assert added[1].endswith(f", before {built.source.relative_to(built.tree.srctree)} was edited")


def test_a_log_without_a_reader_in_a_hurry(built: Built, tmp_path: Path) -> None:
    """10,000 lines a second, with the oopses judged: counted in the processor's time, because others use it too."""
    log = tmp_path / "log"
    log.write_text(("[    1.0] a line of a log that has nothing to say\n" * 250 + built.log()) * 100)
    lines = log.read_text().count("\n")

    def processor_s() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = processor_s()
    done = subprocess.run(
        [sys.executable, "-m", "kdeps", "decode", "--no-replay", str(log), *built.words],
        cwd=built.tree.srctree, env=built.tree.environment({"PYTHONPATH": str(CHECKOUT)}), stdout=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert lines / (processor_s() - before) > 10_000


def test_a_file_without_debug_information_is_named(built: Built) -> None:
    for path in (built.module, built.vmlinux):
        subprocess.run(["strip", "--strip-debug", str(path)], check=True)
    status, added, _ = built.decode(built.log())
    assert status == 0
    assert added[1:] == [
        f"kdeps:   no file and line for other frames: no debug information in {MODULE}/oops-demo.ko, {built.vmlinux}"
    ]


def test_a_damaged_file_is_one_note(built: Built) -> None:
    log = built.log() * 3
    built.module.write_bytes(built.module.read_bytes()[:100])
    status, added, errors = built.decode(log)
    assert status == 0
    assert added.count("kdeps: this build: 1 frame fit vmlinux; no oops_demo.ko here to compare with") == 3
    assert errors.startswith(f"kdeps: note: {built.module}: not an ELF file")
    assert errors.count("\n") == 1


def test_an_earlier_oops_takes_the_certainty_away(built: Built) -> None:
    """A module can have been loaded again between two oopses of one boot."""
    log = built.log()
    changed = log.replace("demo_init+", "demo_fini+")
    status, added, _ = built.decode(changed + log)
    assert status == 1
    assert added[0].startswith("kdeps: another build: demo_fini [oops_demo] is not here")
    assert added[-1] == (
        "kdeps: cannot tell which build this is from: this oops shows no difference, but an earlier one of this boot "
        "did: demo_fini [oops_demo] is not here"
    )


def test_a_source_that_was_edited_since_is_marked(built: Built) -> None:
    """The line is that of the build, and the file may have moved on."""
    st = built.module.stat()
    for offset_ns, mark in ((-1, ""), (1, "  (edited since the build)")):
        os.utime(built.source, ns=(st.st_atime_ns, st.st_mtime_ns + offset_ns * 1_000_000_000))
        _, added, _ = built.decode(built.log())
        assert added[4] == f"kdeps:     {MODULE}/oops-demo-source.c:10{mark}"
