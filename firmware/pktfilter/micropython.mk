# The module `pktfilter` for MicroPython's make-based ports. PKTFILTER_GLUE chooses the platform's glue files.
# Empty: the board has its own among its sources.
PKTFILTER_DIR := $(USERMOD_DIR)
PKTFILTER_GLUE ?= glue_tap.c glue_posix.c

PKTFILTER_CORE = pf.c pf_arp.c pf_dhcp.c pf_fast.c pf_flow.c pf_forward.c pf_hash.c pf_host.c pf_icmp.c pf_ip.c pf_lease.c pf_map.c \
	pf_frag.c pf_peer.c pf_rate.c pf_relay.c pf_segment.c pf_tcp.c pf_uplink.c

SRC_USERMOD_C += $(addprefix $(PKTFILTER_DIR)/,modpktfilter.c)
SRC_USERMOD_LIB_C += $(addprefix $(PKTFILTER_DIR)/,$(PKTFILTER_CORE) $(PKTFILTER_GLUE))
CFLAGS_USERMOD += -I$(PKTFILTER_DIR)
LDFLAGS_USERMOD += $(if $(filter glue_posix.c,$(PKTFILTER_GLUE)),-pthread)
