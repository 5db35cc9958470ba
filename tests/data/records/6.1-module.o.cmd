cmd_/root/c61/one.o := clang -Wp,-MMD,/root/c61/.one.o.d -nostdinc -I/root/linux-6.1/arch/x86/include -I./arch/x86/include/generated -I/root/linux-6.1/include -I./include -I./arch/x86/include/generated/uapi -I./include/generated/uapi -include /root/linux-6.1/include/linux/compiler-version.h -include /root/linux-6.1/include/linux/kconfig.h -include /root/linux-6.1/include/linux/compiler_types.h -D__KERNEL__ --target=x86_64-linux-gnu -fintegrated-as -Werror=unknown-warning-option -Werror=ignored-optimization-argument -Qunused-arguments -std=gnu11 -mno-sse -O2  -DMODULE  -DKBUILD_BASENAME='"one"' -DKBUILD_MODNAME='"kdeps_c"' -D__KBUILD_MODNAME=kmod_kdeps_c -c -o /root/c61/one.o /root/c61/one.c   ; ./tools/objtool/objtool --hacks=jump_label --hacks=noinstr --static-call --uaccess   --module /root/c61/one.o

source_/root/c61/one.o := /root/c61/one.c

deps_/root/c61/one.o := \
  /root/linux-6.1/include/linux/compiler-version.h \
    $(wildcard include/config/CC_VERSION_TEXT) \
  /root/linux-6.1/include/linux/kconfig.h \
    $(wildcard include/config/CPU_BIG_ENDIAN) \
    $(wildcard include/config/BOOGER) \
  /root/linux-6.1/include/asm-generic/module.h \
    $(wildcard include/config/HAVE_MOD_ARCH_SPECIFIC) \
    $(wildcard include/config/MODULES_USE_ELF_REL) \
    $(wildcard include/config/MODULES_USE_ELF_RELA) \
  /root/c61/c.h \

/root/c61/one.o: $(deps_/root/c61/one.o)

$(deps_/root/c61/one.o):

/root/c61/one.o: $(wildcard ./tools/objtool/objtool)
