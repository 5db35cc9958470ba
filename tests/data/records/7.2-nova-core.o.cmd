savedcmd_nova-core.o := ld.lld -m elf_x86_64 -z noexecstack   -r -o nova-core.o @nova-core.mod  ; /root/build-7.2/tools/objtool/objtool --hacks=jump_label --hacks=noinstr --ibt --static-call --uaccess  --link  --module nova-core.o

nova-core.o: $(wildcard /root/build-7.2/tools/objtool/objtool)
