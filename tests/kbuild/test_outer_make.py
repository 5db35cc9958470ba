# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Makefiles as modules have them: each is understood, or it is said why not.

All of them are of our own making, in the shapes that tutorials, DKMS packages, vendors of network and
graphics drivers, and file systems outside of the kernel use. ``KERNEL`` is a kernel tree, ``RUNNING``
the headers of the running kernel, ``HERE`` the module's folder.
"""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

from kdeps.formats.makeargs import parse_make_args, working_directory
from kdeps.kbuild.make_command import NotUnderstood, builds_something, understand_makefile
from kdeps.kbuild.outer_make import OuterMake, ask_make


class Case(NamedTuple):
    """One Makefile and what it must be understood as."""

    name: str
    makefile: str
    words: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()
    kernel: str = "RUNNING"
    modules: tuple[str, ...] = ("HERE",)
    unclear: str = ""
    files: tuple[tuple[str, str], ...] = ()
    has: tuple[str, ...] = ()
    """Words that the kernel's make must get."""


HEAD = "ifneq ($(KERNELRELEASE),)\nobj-m := hello.o\nelse\n"
LIB = "/lib/modules"

CASES = (
    # -- tutorials -------------------------------------------------------------
    Case("the shortest", "obj-m += hello.o\nall:\n\tmake -C /lib/modules/$(shell uname -r)/build M=$(PWD) modules\n"),
    Case(
        "with clean",
        "obj-m += hello.o\nall:\n\t$(MAKE) -C /lib/modules/$(shell uname -r)/build M=$(PWD) modules\n"
        "clean:\n\t$(MAKE) -C /lib/modules/$(shell uname -r)/build M=$(PWD) clean\n",
    ),
    Case(
        "clean alone is no build",
        "obj-m += hello.o\nall:\n\tmake -C KERNEL M=$(PWD) modules\nclean:\n\tmake -C KERNEL M=$(PWD) clean\n",
        ("clean",), modules=(),
    ),
    Case("curdir", "obj-m := a.o\nall: ; make -C /lib/modules/`uname -r`/build M=$(CURDIR)\n"),
    Case("the shell's uname", "obj-m := a.o\nall:\n\tmake -C /lib/modules/$$(uname -r)/build M=$$PWD modules\n"),
    Case("the shell's pwd", "obj-m := a.o\nall:\n\tmake -C KERNEL M=`pwd` modules\n", kernel="KERNEL"),
    Case("$(shell pwd)", "PWD := $(shell pwd)\nobj-m := a.o\ndefault:\n\t$(MAKE) -C KERNEL SUBDIRS=$(PWD) M=$(PWD) modules\n", kernel="KERNEL"),
    Case("two parts", HEAD + "KDIR ?= KERNEL\ndefault:\n\t$(MAKE) -C $(KDIR) M=$$PWD\nendif\n", kernel="KERNEL"),
    Case("a folder that the user names as well", "all:\n\t$(MAKE) -C KERNEL M=$(CURDIR)/src modules\n", ("M=src",), kernel="KERNEL", modules=("HERE/src",)),
    Case("KDIR given", HEAD + "KDIR ?= /nowhere\ndefault:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)\nendif\n", ("KDIR=KERNEL",), kernel="KERNEL"),
    Case("KDIR in the environment", HEAD + "KDIR ?= /nowhere\ndefault:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)\nendif\n", (), (("KDIR", "KERNEL"),), kernel="KERNEL"),
    Case("an environment that loses", HEAD + "KDIR := KERNEL\ndefault:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)\nendif\n", (), (("KDIR", "/nowhere"),), kernel="KERNEL"),
    Case("old SUBDIRS alone", "obj-m := a.o\nall:\n\tmake -C KERNEL SUBDIRS=$(PWD) modules\n", unclear="SUBDIRS=", modules=()),
    Case("KBUILD_EXTMOD", "obj-m := a.o\nall:\n\tmake -C KERNEL KBUILD_EXTMOD=$(CURDIR)\n", kernel="KERNEL"),
    Case("-f instead of -C", "obj-m := a.o\nall:\n\tmake -f KERNEL/Makefile M=$(CURDIR)\n", kernel="KERNEL"),
    Case("Kbuild beside", "KDIR ?= KERNEL\ndefault:\n\t$(MAKE) -C $(KDIR) M=$$PWD\n", kernel="KERNEL", files=(("Kbuild", "obj-m := a.o\n"),)),
    Case("--directory", "obj-m := a.o\nall:\n\tmake --directory=KERNEL M=$(CURDIR) modules\n", kernel="KERNEL"),
    Case("LLVM in the recipe", "obj-m := a.o\nall:\n\t$(MAKE) LLVM=1 -C KERNEL M=$(CURDIR)\n", kernel="KERNEL", has=("LLVM=1",)),
    Case("a recipe over two lines", "obj-m := a.o\nall:\n\t$(MAKE) -C KERNEL \\\n\t\tM=$(CURDIR) modules\n", kernel="KERNEL"),
    Case("a silent recipe", "obj-m := a.o\nall:\n\t@+$(MAKE) --no-print-directory -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("all goals by one pattern", HEAD + "KDIR ?= KERNEL\n%:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR) $@\nendif\n", ("modules",), kernel="KERNEL"),
    Case("several goals, one recipe", HEAD + "KDIR ?= KERNEL\nmodules modules_install clean:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR) $@\nendif\n", kernel="KERNEL"),
    Case("all needs modules", "obj-m := a.o\nall: modules tool\nmodules:\n\tmake -C KERNEL M=$(CURDIR) modules\ntool: tool.c\n\tcc -o $@ $<\n", kernel="KERNEL"),
    Case("a program of its own", "all: tool\ntool: tool.c\n\t$(CC) -o $@ $<\n", modules=()),
    # -- which kernel ------------------------------------------------------------
    Case("KVERSION, DKMS", "KVERSION ?= $(shell uname -r)\nobj-m := a.o\nall:\n\t$(MAKE) -C /lib/modules/$(KVERSION)/build M=$(CURDIR) modules\n", ("KVERSION=6.5.0-x",), kernel=f"{LIB}/6.5.0-x/build"),
    Case("KVER", "KVER ?= $(shell uname -r)\nKSRC := /lib/modules/$(KVER)/build\nobj-m := a.o\nmodules:\n\t$(MAKE) ARCH=x86 CROSS_COMPILE= -C $(KSRC) M=$(shell pwd) modules\n", ("KVER=6.5.0-x",), kernel=f"{LIB}/6.5.0-x/build", has=("ARCH=x86",)),
    Case("KERNELRELEASE from DKMS", "KERNELRELEASE ?= $(shell uname -r)\nobj-m := a.o\nall:\n\t$(MAKE) -C /lib/modules/$(KERNELRELEASE)/build M=$(CURDIR) modules\n", ("KERNELRELEASE=6.5.0-x",), kernel=f"{LIB}/6.5.0-x/build"),
    Case("kernel_source_dir", "kernel_source_dir ?= /lib/modules/$(shell uname -r)/build\nobj-m := a.o\nall:\n\t$(MAKE) -C $(kernel_source_dir) M=$(CURDIR)\n", ("kernel_source_dir=KERNEL",), kernel="KERNEL"),
    Case("KDIR twice, ifdef", HEAD + "ifdef DEBUG\nKDIR := /debug\nelse\nKDIR := KERNEL\nendif\nall: ; $(MAKE) -C $(KDIR) M=$(CURDIR)\nendif\n", kernel="KERNEL"),
    Case("KDIR twice, ifdef taken", HEAD + "ifdef DEBUG\nKDIR := /debug\nelse\nKDIR := KERNEL\nendif\nall: ; $(MAKE) -C $(KDIR) M=$(CURDIR)\nendif\n", ("DEBUG=1",), kernel="/debug"),
    Case("KDIR in an included file", "-include local.mk\nKDIR ?= /nowhere\nobj-m := a.o\nall: ; $(MAKE) -C $(KDIR) M=$(CURDIR)\n", kernel="KERNEL", files=(("local.mk", "KDIR = KERNEL\n"),)),
    Case("an included file that is made", "include conf.mk\nobj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(CURDIR)\nconf.mk:\n\ttouch $@ executed\n", unclear="make makes conf.mk", modules=()),
    Case("the first that exists", "KDIR := $(firstword $(wildcard /nowhere KERNEL))\nobj-m := a.o\nall: ; $(MAKE) -C $(KDIR) M=$(CURDIR)\n", kernel="KERNEL"),
    Case("found by an if", "KDIR := $(if $(wildcard KERNEL/Makefile),KERNEL,/nowhere)\nobj-m := a.o\nall: ; $(MAKE) -C $(KDIR) M=$(CURDIR)\n", kernel="KERNEL"),
    Case("relative", "KDIR := ../kernel\nobj-m := a.o\nall: ; $(MAKE) -C $(KDIR) M=$(CURDIR)\n", kernel="KERNEL"),
    Case("from a file", "KDIR := $(shell cat kdir.txt)\nobj-m := a.o\nall: ; $(MAKE) -C $(KDIR) M=$(CURDIR)\n", kernel="KERNEL", files=(("kdir.txt", "KERNEL\n"),)),
    Case("a function", "kernel-of = $(subst @,,@KERNEL)\nobj-m := a.o\nall: ; $(MAKE) -C $(call kernel-of) M=$(CURDIR)\n", kernel="KERNEL"),
    Case("last Makefile of the list", "HERE := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))\nobj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(HERE)\n", kernel="KERNEL"),
    Case("the list, expanded late", "obj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(dir $(abspath $(lastword $(MAKEFILE_LIST))))\n", kernel="KERNEL"),
    # -- vendors -----------------------------------------------------------------
    Case(
        "a wireless driver",
        "EXTRA_CFLAGS += -O1\nCONFIG_PLATFORM_I386_PC = y\nUSER_MODULE_NAME ?=\nMODULE_NAME = 8xxx\n"
        "SUBARCH := $(shell uname -m | sed -e s/i.86/i386/)\nARCH ?= $(SUBARCH)\nCROSS_COMPILE ?=\n"
        "KVER := $(shell uname -r)\nKSRC := /lib/modules/$(KVER)/build\nMODDESTDIR := /lib/modules/$(KVER)/kernel/drivers/net\n"
        "ifneq ($(USER_MODULE_NAME),)\nMODULE_NAME := $(USER_MODULE_NAME)\nendif\n"
        "ifneq ($(KERNELRELEASE),)\nobj-$(CONFIG_8XXX) := $(MODULE_NAME).o\nelse\nexport CONFIG_8XXX = m\nall: modules\n\n"
        "modules:\n\t$(MAKE) ARCH=$(ARCH) CROSS_COMPILE=$(CROSS_COMPILE) -C $(KSRC) M=$(shell pwd)  modules\n"
        "strip:\n\t$(CROSS_COMPILE)strip $(MODULE_NAME).ko --strip-unneeded\n"
        "install:\n\tinstall -p -m 644 $(MODULE_NAME).ko $(MODDESTDIR)\n\t/sbin/depmod -a ${KVER}\nendif\n",
    ),
    Case(
        "a graphics driver",
        "NV_KERNEL_MODULES ?= core modeset\nNV_KERNEL_MODULES := $(filter-out $(NV_EXCLUDE),$(NV_KERNEL_MODULES))\nNV_VERBOSE ?=\n"
        "ifneq ($(KERNELRELEASE),)\ninclude $(src)/Kbuild\nelse\n"
        "  KERNEL_UNAME ?= $(shell uname -r)\n  KERNEL_MODLIB := /lib/modules/$(KERNEL_UNAME)\n"
        "  ifdef SYSSRC\n    KERNEL_SOURCES := $(SYSSRC)\n  else\n    KERNEL_SOURCES := $(KERNEL_MODLIB)/build\n  endif\n"
        "  KERNEL_OUTPUT := $(KERNEL_SOURCES)\n  KBUILD_PARAMS :=\n"
        "  ifdef SYSOUT\n    KERNEL_OUTPUT := $(SYSOUT)\n    KBUILD_PARAMS := KBUILD_OUTPUT=$(SYSOUT)\n  endif\n"
        "  CC ?= cc\n  LD ?= ld\n  KBUILD_PARAMS += -C $(KERNEL_SOURCES) M=$(CURDIR)\n  KBUILD_PARAMS += ARCH=x86\n"
        "  .PHONY: modules module clean modules_install\n"
        "  modules clean modules_install:\n\t@$(MAKE) \"LD=$(LD)\" \"CC=$(CC)\" $(KBUILD_PARAMS) $@\nendif\n",
        ("SYSSRC=KERNEL", "SYSOUT=/out"), kernel="KERNEL", has=("KBUILD_OUTPUT=/out", "ARCH=x86"),
    ),
    Case("the same, plain", "KBUILD_PARAMS = -C KERNEL M=$(CURDIR)\nobj-m := a.o\nmodules clean:\n\t@$(MAKE) \"CC=gcc -O2\" $(KBUILD_PARAMS) $@\n", kernel="KERNEL", has=("CC=gcc -O2",)),
    Case(
        "a file system",
        "subdir-m := module\nmodules-Linux:\n\tlist='$(subdir-m)'; for td in $$list; do $(MAKE) -C $$td; done\nmodules: modules-Linux\nall: modules\n",
        ("all",), kernel="KERNEL", modules=("HERE/module",),
        files=(("module/Makefile", "obj-m := zed.o\nall:\n\t$(MAKE) -C KERNEL M=$(CURDIR) modules\n"),),
    ),
    Case(
        "a file system, one level",
        "KERNEL_MAKE = $(MAKE) ARCH=x86 -C KERNEL O=/obj M=$$PWD CONFIG_ZED=m\nobj-m := a.o\nmodules-Linux:\n\tmkdir -p a b\n\t$(KERNEL_MAKE) modules\n",
        kernel="KERNEL", has=("O=/obj", "CONFIG_ZED=m"),
    ),
    Case("cd before make", "obj-m := a.o\nall:\n\tcd src && $(MAKE) -C KERNEL M=$$PWD\n", kernel="KERNEL", modules=("HERE/src",), files=(("src/Kbuild", "obj-m := a.o\n"),)),
    Case("a subshell", "obj-m := a.o\nall:\n\t(cd src; make -C KERNEL M=`pwd`) && echo done\n", kernel="KERNEL", modules=("HERE/src",), files=(("src/x", ""),)),
    Case("a loop", "DIRS := one two\nall:\n\tfor d in $(DIRS); do $(MAKE) -C KERNEL M=$(CURDIR)/$$d modules || exit 1; done\n", kernel="KERNEL", modules=("HERE/one", "HERE/two")),
    Case("two modules, two recipes", "all: one two\none:\n\tmake -C KERNEL M=$(CURDIR)/a\ntwo:\n\tmake -C KERNEL M=$(CURDIR)/b\n.PHONY: one two\n", kernel="KERNEL", modules=("HERE/a", "HERE/b")),
    Case("foreach", "DIRS := a b\nall: ; $(foreach d,$(DIRS),$(MAKE) -C KERNEL M=$(CURDIR)/$(d) && ) true\n", kernel="KERNEL", modules=("HERE/a", "HERE/b")),
    Case("a folder below", "all:\n\t$(MAKE) -C drv KDIR=KERNEL\n", kernel="KERNEL", modules=("HERE/drv",), files=(("drv/Makefile", "obj-m := a.o\nall: ; $(MAKE) -C $(KDIR) M=$(CURDIR)\n"),)),
    Case("calls itself", HEAD + "all:\n\t$(MAKE) modules\nmodules:\n\t$(MAKE) -C KERNEL M=$(CURDIR)\nendif\n", kernel="KERNEL"),
    Case("calls itself for ever", "obj-m := a.o\nall:\n\t$(MAKE) all\n", unclear="deep", modules=()),
    Case("an exported ARCH", "export ARCH := arm64\nexport CROSS_COMPILE ?= aarch64-linux-gnu-\nobj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL", has=("ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-")),
    Case("an ARCH that is not exported", "ARCH := arm64\nobj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("export all", "export\nLLVM := 1\nobj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL", has=("LLVM=1",)),
    Case("an assignment before make", "obj-m := a.o\nall:\n\tARCH=arm64 LLVM=1 make -C KERNEL M=$(CURDIR)\n", kernel="KERNEL", has=("ARCH=arm64", "LLVM=1")),
    Case("env before make", "obj-m := a.o\nall:\n\tenv -i PATH=$(PATH) LLVM=1 make -C KERNEL M=$(CURDIR)\n", kernel="KERNEL", has=("LLVM=1",)),
    Case("exported in the recipe", "obj-m := a.o\nall:\n\texport LLVM=1; make -C KERNEL M=$(CURDIR)\n", kernel="KERNEL", has=("LLVM=1",)),
    Case("an outer assignment goes on", "obj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(CURDIR)\n", ("LLVM=1", "V=1"), kernel="KERNEL", has=("LLVM=1",)),
    Case("symbols of another module", "obj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(CURDIR) KBUILD_EXTRA_SYMBOLS=/x/Module.symvers\n", kernel="KERNEL", has=("KBUILD_EXTRA_SYMBOLS=/x/Module.symvers",)),
    Case("as many jobs as processors", "obj-m := a.o\nall: ; $(MAKE) -j$$(nproc) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("nice and sudo", "obj-m := a.o\nall: ; nice $(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("if in the recipe", "obj-m := a.o\nall:\n\t@if [ -d KERNEL ]; then $(MAKE) -C KERNEL M=$(CURDIR); else echo no kernel; exit 1; fi\n", kernel="KERNEL"),
    Case("a condition on a file", "ifeq ($(wildcard KERNEL/Makefile),)\n$(error no kernel)\nendif\nobj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("a goal on the way", "all: check-env build\ncheck-env:\n\t@test -n \"$(HOME)\"\nbuild:\n\t$(MAKE) -C KERNEL M=$(CURDIR) modules\n", kernel="KERNEL"),
    Case("double colon", "all:: pre\nall::\n\t$(MAKE) -C KERNEL M=$(CURDIR)\npre:\n\techo\n", kernel="KERNEL"),
    Case("GNUmakefile", "", kernel="KERNEL", files=(("GNUmakefile", "obj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(CURDIR)\n"), ("Makefile", "all: ; false\n"))),
    Case("another Makefile by -f", "all: ; false\n", ("-f", "dev.mk"), kernel="KERNEL", files=(("dev.mk", "all: ; $(MAKE) -C KERNEL M=$(CURDIR)\n"),)),
    Case("a target that is named", "all: tool\ntool: ; true\nmod:\n\t$(MAKE) -C KERNEL M=$(CURDIR)\n", ("mod",), kernel="KERNEL"),
    Case("another default", ".DEFAULT_GOAL := mod\ntool: ; true\nmod:\n\t$(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("a parenthesis in the recipe", "obj-m := a.o\nall:\n\t@case x in x) echo one;; esac\n\t$(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("sparse", "obj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(CURDIR) C=2 CF=-D__CHECK_ENDIAN__\n", kernel="KERNEL", has=("C=2",)),
    Case("our own snippet by hand", "KDEPS_MAKE := kdeps make\nobj-m := a.o\nmodules: ; +$(KDEPS_MAKE) --on-stale=warn -C KERNEL M=$(CURDIR) $@\n", kernel="KERNEL"),
    # -- words before make, and what only a whole recipe tells ------------------------
    Case("an option with a value before make", "obj-m := a.o\nall: ; nice -n 5 env LLVM=1 $(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL", has=("LLVM=1",)),
    Case("a time limit", "obj-m := a.o\nall: ; timeout -k 5 600 $(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("a lock", "obj-m := a.o\nall: ; flock /tmp/lock $(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("a program nobody knows", "obj-m := a.o\nall: ; my-farm --jobs 4 -- $(MAKE) -C KERNEL M=$(CURDIR)\n", unclear="my-farm", modules=()),
    Case("make in a text", "obj-m := a.o\nall:\n\t@echo make -C /elsewhere M=/x\n\t@echo 'now make -C /y M=z'\n\t$(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("make as a word", "obj-m := a.o\nall:\n\twhich make\n\t$(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("a wrapper that moves", "obj-m := a.o\nall: ; env -C KERNEL $(MAKE) M=$(CURDIR)\n", unclear="env", modules=()),
    Case("another root", "obj-m := a.o\nall: ; chroot /sys $(MAKE) -C KERNEL M=$(CURDIR)\n", unclear="chroot", modules=()),
    Case("a container", "obj-m := a.o\nall: ; docker run -v $(CURDIR):/m build make -C KERNEL M=/m\n", unclear="docker", modules=()),
    Case("one shell, exported", ".ONESHELL:\nobj-m := a.o\nall:\n\tset -e\n\texport LLVM=1\n\t$(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL", has=("LLVM=1",)),
    Case("one shell, another folder", ".ONESHELL:\nobj-m := a.o\nall:\n\tcd KERNEL\n\t$(MAKE) M=$(CURDIR)\n", kernel="KERNEL"),
    Case("expanded a second time", ".SECONDEXPANSION:\nobj-m := a.o\nWHAT = mods\nall: $$(WHAT)\nmods:\n\t$(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("a variable of one target", "KDIR := /nowhere\nobj-m := a.o\nall: KDIR := KERNEL\nall:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)\n", kernel="KERNEL"),
    Case("inherited from the goal", "KDIR := /nowhere\nobj-m := a.o\nall: KDIR := KERNEL\nall: mods\nmods:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)\n", kernel="KERNEL"),
    Case("one target's own value", "KDIR := KERNEL\nobj-m := a.o\nall: private KDIR := /nowhere\nall: mods\nmods:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)\n", kernel="KERNEL"),
    Case("a value that adds", "FLAGS := LLVM=1\nobj-m := a.o\nall: FLAGS += ARCH=arm64\nall:\n\t$(MAKE) -C KERNEL M=$(CURDIR) $(FLAGS)\n", kernel="KERNEL", has=("LLVM=1", "ARCH=arm64")),
    Case("a value given by hand wins", "obj-m := a.o\nall: KDIR := /nowhere\nall:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)\n", ("KDIR=KERNEL",), kernel="KERNEL"),
    Case("a variable of a pattern", "KDIR := /nowhere\nobj-m := a.o\nmod%: KDIR := KERNEL\nmods:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)\n", kernel="KERNEL"),
    Case("two targets, two kernels", "obj-m := a.o\nall: a b\na: KDIR := KERNEL\nb: KDIR := KERNEL\na b:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)/$@\n", kernel="KERNEL", modules=("HERE/a", "HERE/b")),
    Case("second expansion by the target", ".SECONDEXPANSION:\nobj-m := a.o\nall: $$@-mods\nall-mods:\n\t$(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("exported for one target", "obj-m := a.o\nall: export LLVM := 1\nall:\n\t$(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL", has=("LLVM=1",)),
    Case("to a log", "obj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(CURDIR) 2>&1 | tee build.log\n", kernel="KERNEL"),
    Case("a here document", "obj-m := a.o\nall: ; sh -c \"$(MAKE) -C KERNEL M=$(CURDIR)\"\n", unclear="sh", modules=()),
    Case("eval", "obj-m := a.o\nall: ; eval '$(MAKE) -C KERNEL M=$(CURDIR)'\n", unclear="eval", modules=()),
    Case("through xargs", "obj-m := a.o\nall: ; echo a b | xargs -n1 $(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("a script beside a make", "obj-m := a.o\nall:\n\t./configure\n\t$(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("one of two kernels, by a text", "obj-m := a.o\nall:\n\tif [ \"$(KDIR)\" = \"\" ]; then make -C /nowhere M=$(CURDIR); else make -C $(KDIR) M=$(CURDIR); fi\n", ("KDIR=KERNEL",), kernel="KERNEL"),
    Case("a default in the recipe", "obj-m := a.o\nall:\n\tmake -C $${KDIR:-/lib/modules/$$(uname -r)/build} M=$$PWD\n"),
    Case("more programs", "export PATH := $(PATH):/opt/bin\nobj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("a recipe that ends in a backslash", "obj-m := a.o\nall:\n\t$(MAKE) -C KERNEL \\\n\t\tM=$(CURDIR) \\\n\n", kernel="KERNEL"),
    Case("a comment before a line", "obj-m := a.o\nall:\n\t# build it \\\n\t$(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL"),
    Case("a comment between lines", "obj-m := a.o\nall:\n\t@echo one; \\\n\t# two \\\n\t$(MAKE) -C KERNEL $(foreach n,1 \\\n\t2,N$(n)=x) M=$(CURDIR)\n", kernel="KERNEL", has=("N2=x",)),
    Case("a static pattern", "obj-m := a.o\nMODS := x y\nall: $(MODS:%=%-mod)\n$(MODS:%=%-mod): %-mod:\n\tmake -C KERNEL M=$(CURDIR)/$*\n", kernel="KERNEL", modules=("HERE/x", "HERE/y")),
    Case("an assignment in MAKEFLAGS", "MAKEFLAGS += ARCH=arm64 --no-print-directory\nobj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL", has=("ARCH=arm64",)),
    Case("programs with their folders", "obj-m := a.o\nall:\n\tmake -C /lib/modules/`/bin/uname -r`/build M=$$(/bin/pwd -P)\n"),
    Case("sources of the library", "export RUST_LIB_SRC := /src\nobj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(CURDIR)\n", kernel="KERNEL", has=("RUST_LIB_SRC=/src",)),
    # -- not understood, and said ----------------------------------------------------
    Case("a script", "obj-m := a.o\nall:\n\t./build.sh\n", unclear="./build.sh", modules=()),
    Case("bash -c", "obj-m := a.o\nall:\n\tbash -c 'make -C KERNEL M=$(CURDIR)'\n", unclear="bash", modules=()),
    Case("a file that only the shell reads", "obj-m := a.o\nall:\n\tmake -C $$(cat kdir.txt) M=$(CURDIR)\n", unclear="only the shell knows", modules=()),
    Case("a variable of the shell", "obj-m := a.o\nall:\n\tmake -C $$NOT_SET_ANYWHERE M=$(CURDIR)\n", unclear="only the shell knows", modules=()),
    Case("read from a pipe", "obj-m := a.o\nall:\n\tls | while read d; do make -C KERNEL M=$(CURDIR)/$$d; done\n", unclear="only the shell knows", modules=()),
    Case("other programs", "obj-m := a.o\nall: ; PATH=/opt/bin:$$PATH $(MAKE) -C KERNEL M=$(CURDIR)\n", unclear="another PATH", modules=()),
    Case("other programs, exported", "export PATH := /opt/bin:$(PATH)\nobj-m := a.o\nall: ; $(MAKE) sub\nsub: ; $(MAKE) -C KERNEL M=$(CURDIR)\n", unclear="another PATH", modules=()),
    Case("no programs", "obj-m := a.o\nall: ; env -i $(MAKE) -C KERNEL M=$(CURDIR)\n", unclear="another PATH", modules=()),
    Case("another toolchain", "obj-m := a.o\nall: ; RUSTUP_TOOLCHAIN=beta $(MAKE) -C KERNEL M=$(CURDIR)\n", unclear="another RUSTUP_TOOLCHAIN", modules=()),
    Case("no kernel before M=", "obj-m := a.o\nall: ; $(MAKE) -C $(KERNEL_SRC) M=$(CURDIR) modules\n", unclear="which is not there", modules=()),
    Case("nothing behind M=", "obj-m := a.o\nall: ; $(MAKE) -C KERNEL M=$(M) modules\n", unclear="names no module", modules=()),
    Case("it stops by itself", "$(error set KDIR)\nobj-m := a.o\nall: ; true\n", unclear="set KDIR", modules=()),
    Case("it stops in a recipe", "obj-m := a.o\nall:\n\t$(if $(KDIR),,$(error KDIR is missing))\n\t$(MAKE) -C KERNEL M=$(CURDIR)\n", unclear="*** KDIR is missing", modules=()),
    Case("define in a recipe", "obj-m := a.o\nall:\n\tdefine x\n\t$(MAKE) -C KERNEL M=$(CURDIR)\n", unclear="endef", modules=()),
    Case("a syntax error", "obj-m := a.o\nall\n", unclear="missing separator", modules=()),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_makefile_is_understood_or_refused(case: Case, tmp_path: Path) -> None:
    """Kernel, module and the words that matter come out as make would have them, and nothing is executed."""
    here, kernel = tmp_path / "module", tmp_path / "kernel"
    here.mkdir()
    kernel.mkdir()
    (kernel / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 18\n")

    def real(text: str) -> str:
        running = f"/lib/modules/{os.uname().release}/build"
        return text.replace("KERNEL", str(kernel)) if "KERNEL_" not in text and "KERNELR" not in text else text.replace("-C KERNEL", f"-C {kernel}").replace("=KERNEL", f"={kernel}").replace(":= KERNEL", f":= {kernel}").replace("?= KERNEL", f"?= {kernel}").replace("RUNNING", running)  # fmt: skip

    if case.makefile:
        (here / "Makefile").write_text(real(case.makefile))
    for name, text in case.files:
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text(real(text))
    before = sorted(here.rglob("*"))
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PWD": str(here),
        **{name: real(value) for name, value in case.environ},
    }
    answer = ask_make(tuple(map(real, case.words)), str(here), environ)
    assert sorted(here.rglob("*")) == before, "a recipe was executed"
    if case.unclear:
        assert case.unclear in answer.unclear
        return
    assert answer.unclear == ""
    running = f"/lib/modules/{os.uname().release}/build"
    wanted_kernel = {"KERNEL": str(kernel), "RUNNING": running}.get(case.kernel, case.kernel)
    found = _builds(answer, str(here))
    assert [module for _, module, _ in found] == [name.replace("HERE", str(here)) for name in case.modules]
    for folder, _, words in found:
        assert folder == wanted_kernel
        assert set(case.has) <= set(words)
        if case.name == "an ARCH that is not exported":
            assert not any(word.startswith("ARCH") for word in words)


def _builds(answer: OuterMake, here: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """The kernel, the module and the words of each make that builds something."""
    found = []
    for words in answer.kernel_makes:
        args = parse_make_args(words)
        if not builds_something(args):
            continue
        folder = working_directory(args, here)
        if args.files:
            folder = os.path.dirname(os.path.join(folder, args.files[-1]))
        assert len({*args.modules}) <= 1, "a word that the inner make does not take"
        module = args.variables.get("M") or args.variables.get("KBUILD_EXTMOD") or ""
        found.append((folder, module.rstrip("/"), words))
    return found


def test_there_are_enough_of_them() -> None:
    """The corpus is as large as it has to be, and most of it is understood."""
    assert len(CASES) >= 60
    assert sum(1 for case in CASES if case.unclear) < len(CASES) / 5


def test_a_makefile_that_does_not_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``$(shell)`` that waits for ever is ended, with what it started."""
    monkeypatch.setattr("kdeps.kbuild.outer_make._TIMEOUT_S", 0.5)
    (tmp_path / "Makefile").write_text("X := $(shell sleep 1000)\nobj-m := a.o\nall: ; make -C / M=.\n")
    answer = ask_make((), str(tmp_path), {"PATH": os.environ["PATH"]})
    assert "took more than" in answer.unclear


@pytest.mark.parametrize(
    ("text", "steady"),
    [
        ("KDIR := /k\n", True),
        ("KDIR := /lib/modules/$(shell uname -r)/build\nPWD := $(shell pwd)\n", True),
        ("KDIR := $(shell cat kdir.txt)\n", False),
        ("KDIR := $(firstword $(wildcard /a /b))\n", False),
        ("KDIR != cat kdir.txt\n", False),
    ],
)
def test_what_only_the_makefile_decides_may_be_remembered(text: str, steady: bool, tmp_path: Path) -> None:
    """An answer rests on its Makefiles; where it rests on more, it holds once."""
    rule = textwrap.dedent("all:\n\tmake -C $(KDIR) M=$(CURDIR)\n")
    (tmp_path / "Makefile").write_text(text + rule)
    answer = ask_make((), str(tmp_path), {"PATH": os.environ["PATH"]})
    assert answer.steady is steady
    assert answer.makefiles == (str(tmp_path / "Makefile"),)


def understand(here: Path, makefile: str, *words: str) -> list[tuple[str, ...]]:
    """The makes of a kernel that a Makefile calls, where ``kernel`` and ``other`` are kernels."""
    for name in ("kernel", "other"):
        (here / name).mkdir()
        (here / name / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 18\n")
    (here / "Makefile").write_text(makefile)
    return list(understand_makefile(words, str(here), {"PATH": os.environ["PATH"]}).kernel_makes)


def test_a_module_has_one_kernel(tmp_path: Path) -> None:
    """Where only the shell chooses between two, neither is judged, and neither is refreshed."""
    with pytest.raises(NotUnderstood, match=f"{tmp_path}/m for several kernels, {tmp_path}/kernel and"):
        understand(
            tmp_path,
            "all:\n\tif test -d x; then make -C kernel M=$(CURDIR)/m; else make -C other M=$(CURDIR)/m; fi\n",
        )


def test_what_prepares_a_kernel_builds_no_module(tmp_path: Path) -> None:
    found = understand(
        tmp_path,
        "all:\n\tmake -C kernel olddefconfig prepare\n\tmake -C other\n\tmake -C kernel M=$(CURDIR)\n",
    )
    assert found == [("-C", f"{tmp_path}/kernel", f"M={tmp_path}")]


def test_what_builds_a_module_comes_before_what_cleans_one(tmp_path: Path) -> None:
    """A goal that builds nothing names its kernel all the same."""
    makefile = "all: clean\n\tmake -C kernel M=$(CURDIR)\nclean:\n\tmake -C kernel M=$(CURDIR) clean\n"
    assert understand(tmp_path, makefile) == [("-C", f"{tmp_path}/kernel", f"M={tmp_path}")]
    assert understand_makefile(("clean",), str(tmp_path), {"PATH": os.environ["PATH"]}).kernel_makes == (
        ("-C", f"{tmp_path}/kernel", f"M={tmp_path}", "clean"),
    )


def test_a_folder_to_come_is_of_no_interest_without_a_module(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("all:\n\tmkdir build\n\t$(MAKE) -C build\n")
    assert ask_make((), str(tmp_path), {"PATH": os.environ["PATH"]}).unclear == ""


def test_a_message_names_the_makefile_that_make_reads_first(tmp_path: Path) -> None:
    (tmp_path / "more.mk").write_text("X := 1\n")
    with pytest.raises(NotUnderstood, match=f"^{tmp_path}/Makefile: it runs ./build.sh"):
        understand(tmp_path, "obj-m := a.o\ninclude more.mk\nall:\n\t./build.sh\n")
