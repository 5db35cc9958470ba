# cannot find fixdep (/root/build-7.2/tools/objtool//fixdep)
# using basic dep data

/root/build-7.2/tools/objtool/fixdep.o \
  /root/build-7.2/tools/objtool/fixdep.o: fixdep.c \
  /usr/include/x86_64-linux-gnu/sys/types.h /usr/include/features.h \
  /usr/include/features-time64.h \
  /usr/include/x86_64-linux-gnu/bits/wordsize.h \
  /usr/include/x86_64-linux-gnu/bits/pthread_stack_min-dynamic.h \
  /usr/include/x86_64-linux-gnu/bits/pthread_stack_min.h \
  /usr/include/x86_64-linux-gnu/bits/posix2_lim.h

cmd_/root/build-7.2/tools/objtool/fixdep.o := clang -Wp,-MD,/root/build-7.2/tools/objtool/.fixdep.o.d -Wp,-MT,/root/build-7.2/tools/objtool/fixdep.o -Wall -Wmissing-prototypes -Wstrict-prototypes -O2 -fomit-frame-pointer -std=gnu11   -I /root/linux-7.2/scripts/include -D"BUILD_STR(s)=$(pound)s"   -c -o /root/build-7.2/tools/objtool/fixdep.o fixdep.c
