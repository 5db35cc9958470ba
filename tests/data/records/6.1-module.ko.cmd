cmd_/root/c61/kdeps_c.ko := ld.lld -r -m elf_x86_64 -z noexecstack --build-id=sha1  -T scripts/module.lds -o /root/c61/kdeps_c.ko /root/c61/kdeps_c.o /root/c61/kdeps_c.mod.o;  true
