# The SIM_LWIP board: the SIM board with lwIP in the place of the PC's IP stack. LWIP_DIR is lwIP's source.
include $(VARIANT_DIR)/../SIM/mpconfigvariant.mk

FROZEN_MANIFEST = $(VARIANT_DIR)/manifest.py

# The unix port's sockets under another name (modusocket.c), the ESP32 port's under theirs (modsocket.c).
MICROPY_PY_SOCKET = 0
PKTFILTER_GLUE = glue_lwip.c glue_posix.c

SIM_LWIP_PORT = $(LWIP_DIR)/contrib/ports/unix/port
SIM_LWIP_SRC = $(addprefix $(LWIP_DIR)/src/, \
	$(addprefix api/, api_lib.c api_msg.c err.c if_api.c netbuf.c netdb.c netifapi.c sockets.c tcpip.c) \
	$(addprefix core/, def.c dns.c inet_chksum.c init.c ip.c mem.c memp.c netif.c pbuf.c raw.c stats.c sys.c tcp.c tcp_in.c \
	  tcp_out.c timeouts.c udp.c) \
	$(addprefix core/ipv4/, acd.c dhcp.c etharp.c icmp.c igmp.c ip4.c ip4_addr.c ip4_frag.c) \
	netif/ethernet.c) \
	$(SIM_LWIP_PORT)/sys_arch.c

SRC_C += $(wildcard $(abspath $(VARIANT_DIR)/../SIM)/*.c)
SRC_THIRDPARTY_C += $(SIM_LWIP_SRC) shared/netutils/netutils.c

CFLAGS_EXTMOD += -I$(LWIP_DIR)/src/include -I$(SIM_LWIP_PORT)/include -I$(VARIANT_DIR)/shim -I$(abspath $(USER_C_MODULES))/pktfilter

# AddressSanitizer and UndefinedBehaviorSanitizer over lwIP, the filter and what is between them. Not over MicroPython: its collector
# reads stacks as they are; and exceptions leave functions by a jump that a poisoned stack does not survive, which is why what the
# interpreter calls has no checks of its stack.
SIM_LWIP_SANITIZE = $(if $(SANITIZE),-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
SIM_LWIP_CALLED = $(addprefix $(BUILD)/$(VARIANT_DIR)/, modlwip.o modsocket.o) $(BUILD)/pktfilter/modpktfilter.o
# Where addresses are very random (vm.mmap_rnd_bits 32), a program that may be anywhere may be where AddressSanitizer wants to be.
LDFLAGS_EXTMOD += $(SIM_LWIP_SANITIZE) $(if $(SANITIZE),-no-pie)
$(BUILD)/$(VARIANT_DIR)/%.o $(BUILD)/pktfilter/%.o: CFLAGS += $(SIM_LWIP_SANITIZE)
$(SIM_LWIP_CALLED): CFLAGS += --param asan-stack=0
# Others' sources: their warnings are theirs.
$(BUILD)/$(LWIP_DIR)/%.o: CFLAGS += $(SIM_LWIP_SANITIZE) -Wno-error -w
$(BUILD)/$(VARIANT_DIR)/modsocket.o $(BUILD)/$(VARIANT_DIR)/modusocket.o: CFLAGS += -w
