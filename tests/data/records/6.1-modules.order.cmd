cmd_/root/c61/modules.order := {   echo /root/c61/kdeps_c.ko; :; } > /root/c61/modules.order
