savedcmd_.module-common.o := clang -Wp,-MMD,./..module-common.o.d -nostdinc -I/root/linux-7.2/arch/x86/include -I/root/build-7.2/arch/x86/include/generated -include /root/linux-7.2/include/linux/compiler-version.h -include /root/linux-7.2/include/linux/kconfig.h -include /root/linux-7.2/include/linux/compiler_types.h -D__KERNEL__ --target=x86_64-linux-gnu -fintegrated-as -Werror=unknown-warning-option -Werror=ignored-optimization-argument -std=gnu11 -mno-sse -O2  -DMODULE  -DKBUILD_BASENAME='".module_common"' -DKBUILD_MODNAME='".module_common.o"' -D__KBUILD_MODNAME=.module_common.o -c -o .module-common.o /root/linux-7.2/scripts/module-common.c   ; /root/build-7.2/tools/objtool/objtool --hacks=jump_label --hacks=noinstr --ibt --static-call --uaccess  --link  --module .module-common.o

source_.module-common.o := /root/linux-7.2/scripts/module-common.c

deps_.module-common.o := \
    $(wildcard include/config/UNWINDER_ORC) \
    $(wildcard include/config/MITIGATION_RETPOLINE) \
  /root/linux-7.2/include/linux/compiler-version.h \
    $(wildcard include/config/CC_VERSION_TEXT) \
  /root/linux-7.2/include/linux/kconfig.h \
    $(wildcard include/config/MCYRIXIII) \
    $(wildcard include/config/MVIAC3_2) \
    $(wildcard include/config/MVIAC7) \
    $(wildcard include/config/MGEODEGX1) \
    $(wildcard include/config/MGEODE_LX) \

.module-common.o: $(deps_.module-common.o)

$(deps_.module-common.o):

.module-common.o: $(wildcard /root/build-7.2/tools/objtool/objtool)
