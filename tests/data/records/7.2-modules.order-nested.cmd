savedcmd_modules.order := {   echo kdeps_mix.o;   cat sub/modules.order; :; } > modules.order
