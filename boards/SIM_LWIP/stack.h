/*
 * The board's IP stack: lwIP with two interfaces, whose drivers are TAP devices. As on the chip an interface is there
 * (netif_add) while its radio is switched on, and its driver hands frames to netif->input from a task of its own.
 *
 * All functions may be called from any thread but lwIP's, and wait for that.
 */
#ifndef SIM_LWIP_STACK_H
#define SIM_LWIP_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/err.h"
#include "lwip/ip4_addr.h"

enum stack_side { STACK_UPLINK, STACK_SEGMENT, STACK_SIDES };

/* Starts lwIP; again: nothing. 0, or an errno value. */
int stack_start(void);

/* The radio is switched on or off: its interface comes or goes. */
int stack_switch(enum stack_side side, bool on, const uint8_t mac[6]);

/* The station is associated or not: lwIP's interface is up, or down and without address. */
int stack_link(enum stack_side side, bool up);

/* DHCP client of the uplink: on, or an address of one's own. At most 32 bytes of `hostname`. */
int stack_dhcp(bool on);
void stack_hostname(const char *hostname);
/* Asks the server again now, as at half of the lease's time. */
int stack_renew(void);

struct stack_addresses {
    ip4_addr_t addr, mask, router;
};

int stack_set_addresses(enum stack_side side, const struct stack_addresses *to);
void stack_addresses(enum stack_side side, struct stack_addresses *is);
int stack_set_dns(const ip4_addr_t *server);
/* At most `room` servers; returns how many. */
int stack_dns(ip4_addr_t *servers, int room);

/* Told, in lwIP's thread, after each change of the uplink's address. */
extern void (*stack_changed)(void);

/* As igmp_joingroup(). */
err_t stack_join_group(const ip4_addr_t *interface, const ip4_addr_t *group);

#endif
