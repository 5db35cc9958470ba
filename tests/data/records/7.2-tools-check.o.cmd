cmd_/root/build-7.2/tools/objtool/check.o := clang -Wp,-MD,/root/build-7.2/tools/objtool/.check.o.d -Wp,-MT,/root/build-7.2/tools/objtool/check.o -std=gnu11 -fomit-frame-pointer -O2 -g -Werror -Wall -Wextra -Wmissing-prototypes -Wmissing-declarations -Wwrite-strings -Wno-implicit-fallthrough -Wno-sign-compare -Wno-unused-parameter -I/root/linux-7.2/tools/include -I/root/linux-7.2/tools/include/uapi -I/root/linux-7.2/tools/arch/x86/include/uapi -I/root/linux-7.2/tools/arch/x86/include -I/root/linux-7.2/tools/objtool/include -I/root/linux-7.2/tools/objtool/arch/x86/include -I/root/linux-7.2/tools/lib -D"BUILD_STR(s)=$(pound)s" -c -o /root/build-7.2/tools/objtool/check.o check.c

source_/root/build-7.2/tools/objtool/check.o := check.c

deps_/root/build-7.2/tools/objtool/check.o := \
  /usr/include/fnmatch.h \
  /usr/include/string.h \
  /usr/include/x86_64-linux-gnu/bits/libc-header-start.h \
  /usr/include/features.h \
  /usr/include/features-time64.h \
  /root/linux-7.2/tools/objtool/include/objtool/util.h \
  /root/linux-7.2/tools/include/linux/objtool_types.h \
  /root/linux-7.2/tools/include/linux/static_call_types.h \
  /root/linux-7.2/tools/include/linux/stringify.h \
  noreturns.h \

/root/build-7.2/tools/objtool/check.o: $(deps_/root/build-7.2/tools/objtool/check.o)

$(deps_/root/build-7.2/tools/objtool/check.o):
