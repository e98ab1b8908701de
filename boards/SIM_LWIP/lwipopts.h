/*
 * lwIP's options for the SIM_LWIP board: those of ESP-IDF (components/lwip/port/include/lwipopts.h, v5.3 to v5.5) with its
 * Kconfig's defaults and what boards/esp32_common/sdkconfig.* sets, the smaller board's where they differ, as far as stock lwIP 2.2
 * has them. What differs is marked.
 */
#ifndef SIM_LWIP_LWIPOPTS_H
#define SIM_LWIP_LWIPOPTS_H

/* Differs: Linux' own flags and numbers, as the interpreter has them. */
#include <fcntl.h>

/* Threads: a tcpip thread that owns the core; others send it messages. */
#define NO_SYS 0
#define SYS_LIGHTWEIGHT_PROT 1
#define LWIP_TCPIP_CORE_LOCKING 0
#define LWIP_TCPIP_CORE_LOCKING_INPUT 0
#define LWIP_NETCONN_SEM_PER_THREAD 1
#define LWIP_NETCONN_FULLDUPLEX 1
#define TCPIP_THREAD_NAME "tiT"
#define TCPIP_MBOX_SIZE 16
#define DEFAULT_UDP_RECVMBOX_SIZE 6
#define DEFAULT_TCP_RECVMBOX_SIZE 6
#define DEFAULT_RAW_RECVMBOX_SIZE 6
#define DEFAULT_ACCEPTMBOX_SIZE 6

/* Memory: all of it from malloc(), so that AddressSanitizer sees each piece. */
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 8 /* differs: pointers have 8 bytes here */
#define LWIP_SUPPORT_CUSTOM_PBUF 1

#define MEMP_NUM_NETCONN 48
#define MEMP_NUM_RAW_PCB 16
#define MEMP_NUM_UDP_PCB 16
#define MEMP_NUM_TCP_PCB 48
#define MEMP_NUM_TCP_PCB_LISTEN 16

#define LWIP_IPV4 1
#define LWIP_IPV6 0
#define LWIP_ICMP 1
#define LWIP_IGMP 1
#define LWIP_RAW 1
#define LWIP_UDP 1
#define LWIP_TCP 1
#define LWIP_DNS 1
#define DNS_MAX_SERVERS 3
#define LWIP_DNS_SUPPORT_MDNS_QUERIES 1
#define ARP_QUEUEING 1
#define IP_FORWARD 0
#define IP_FRAG 1
#define IP_REASSEMBLY 0
#define IP_REASS_MAXAGE 3
#define IP_REASS_MAX_PBUFS 10
#define IP_DEFAULT_TTL 64
#define LWIP_BROADCAST_PING 0
#define LWIP_MULTICAST_PING 0

/* Differs: ESP-IDF asks by ARP whether an offered address is free; stock lwIP has only the long way of RFC 5227. */
#define LWIP_DHCP 1
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define LWIP_DHCP_DISCOVER_ADD_HOSTNAME 1

#define TCP_MSS 1440
#define TCP_WND 2880
#define TCP_SND_BUF 2880
#define TCP_MAXRTX 12
#define TCP_SYNMAXRTX 12
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_PBUFS 4
#define TCP_OOSEQ_TIMEOUT 6
#define TCP_LISTEN_BACKLOG 1
#define TCP_OVERSIZE TCP_MSS
#define TCP_TMR_INTERVAL 250
#define TCP_MSL 60000
#define TCP_FIN_WAIT_TIMEOUT 20000
#define LWIP_TCP_RTO_TIME 1500
#define LWIP_TCP_SACK_OUT 0
#define LWIP_WND_SCALE 0

#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_NETIF_TX_SINGLE_PBUF 1
#define LWIP_HAVE_LOOPIF 1
#define LWIP_NETIF_LOOPBACK 1
#define LWIP_LOOPBACK_MAX_PBUFS 8

#define LWIP_NETCONN 1
#define LWIP_SOCKET 1
#define LWIP_COMPAT_SOCKETS 0
#define LWIP_POSIX_SOCKETS_IO_NAMES 0
#define LWIP_SOCKET_OFFSET 16 /* ESP-IDF: FD_SETSIZE, 64 there, without the sockets */
#define LWIP_SO_SNDTIMEO 1
#define LWIP_SO_RCVTIMEO 1
#define LWIP_TCP_KEEPALIVE 1
#define LWIP_SO_LINGER 0
#define LWIP_SO_RCVBUF 0
#define SO_REUSE 1
#define SO_REUSE_RXTOALL 1
#define LWIP_TIMEVAL_PRIVATE 0

/* What the chip does not check, the filter has to. */
#define CHECKSUM_CHECK_IP 0
#define CHECKSUM_CHECK_UDP 0
#define CHECKSUM_CHECK_ICMP 1

#define LWIP_STATS 0

/* Differs: no such hook in stock lwIP. Who calls from the wrong thread ends the process instead of going unseen. */
void sys_check_core_locking(void);
#define LWIP_ASSERT_CORE_LOCKED() sys_check_core_locking()

#endif
