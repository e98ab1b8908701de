/* Stock lwIP for the glue's tests: without threads of its own, all memory from the harness's allocator, statistics on. */
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#include <stddef.h>

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 1 /* frames come in several threads */
#define LWIP_SOCKET 0
#define LWIP_NETCONN 0

#define LWIP_IPV6 1            /* so that lwIP sends some, which must go nowhere */
#define IPV6_FRAG_COPYHEADER 1 /* 64-bit machines */
#define LWIP_IGMP 1
#define LWIP_DHCP 0
#define LWIP_DNS 0
#define LWIP_RAW 1
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1

/* As on the ESP32: pbufs from the heap. Every block of memory is one of the harness's, so that AddressSanitizer sees each. */
void *harness_malloc(size_t size);
void *harness_calloc(size_t count, size_t size);
void harness_free(void *block);
#define MEM_CUSTOM_ALLOCATOR 1
#define MEM_CUSTOM_MALLOC harness_malloc
#define MEM_CUSTOM_CALLOC harness_calloc
#define MEM_CUSTOM_FREE harness_free
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 4
#define PBUF_POOL_BUFSIZE 256 /* a frame in the pool is a chain */

#define LWIP_STATS 1
#define LWIP_STATS_DISPLAY 0
#define TCP_MSS 1460
#define TCP_WND (8 * TCP_MSS)
#define TCP_SND_BUF (8 * TCP_MSS)

#endif
