savedcmd_scripts/mod/modpost := clang   -fuse-ld=lld -o scripts/mod/modpost scripts/mod/modpost.o scripts/mod/file2alias.o scripts/mod/sumversion.o scripts/mod/symsearch.o   
