savedcmd_scripts/mod/elfconfig.h := scripts/mod/mk_elfconfig < scripts/mod/empty.o > scripts/mod/elfconfig.h
