savedcmd_nova-core.ko := ld.lld -r -m elf_x86_64 -z noexecstack --build-id=sha1  -T /root/build-7.2/scripts/module.lds -o nova-core.ko nova-core.o nova-core.mod.o .module-common.o
