savedcmd_/root/lts2/modules.order := {   echo /root/lts2/kdeps_mix.o;   cat /root/lts2/sub/modules.order; :; } > /root/lts2/modules.order
