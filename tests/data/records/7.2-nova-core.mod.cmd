savedcmd_nova-core.mod := printf '%s\n'   nova_core.o | awk '!x[$$0]++ { print("./"$$0) }' > nova-core.mod
