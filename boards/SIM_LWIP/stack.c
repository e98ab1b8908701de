#include "stack.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/priv/tcpip_priv.h"
#include "lwip/tcpip.h"

#include "glue_lwip.h"
#include "glue_posix.h"

enum {
    FRAME_MAX = 1518,
    MTU = 1500,
    BATCH = 64, /* frames taken from one radio before the other gets its turn */
    HOSTNAME_MAX = 32,
};

static struct radio {
    struct netif netif;
    int fd;               /* -1: none */
    pthread_mutex_t lock; /* held while a frame is handed up */
    bool on;
} radios[STACK_SIDES] = {
    {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER},
    {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER},
};

static bool started = false;
static bool dhcp_wanted = true;
static char hostname[HOSTNAME_MAX + 1] = "mpy-esp32";
static struct stack_addresses segment_addresses;

void (*stack_changed)(void) = NULL;

/* --- the driver of a radio ------------------------------------------------------------------------------------- */

/* A received frame: as ESP-IDF's, a buffer of the driver's with a pbuf in front that refers to it. */
struct received {
    struct pbuf_custom pbuf;
    uint8_t room[FRAME_MAX + 2];
};

static void free_received(struct pbuf *p)
{
    free(p); /* the pbuf is the structure's first member */
}

static void hand_up(struct radio *radio, const uint8_t *frame, size_t len)
{
    struct received *received = malloc(sizeof(*received));
    if (received == NULL) {
        return;
    }
    uint8_t *const to = received->room + 2; /* the IP header aligned */
    memcpy(to, frame, len);
    received->pbuf.custom_free_function = free_received;
    struct pbuf *p = pbuf_alloced_custom(PBUF_RAW, (u16_t)len, PBUF_REF, &received->pbuf, to, (u16_t)len);
    (void)pthread_mutex_lock(&radio->lock);
    if (!radio->on || radio->netif.input(p, &radio->netif) != ERR_OK) {
        (void)pbuf_free(p);
    }
    (void)pthread_mutex_unlock(&radio->lock);
}

static void take_frames(struct radio *radio)
{
    uint8_t frame[FRAME_MAX];
    for (int n = 0; n < BATCH && radio->fd >= 0; n++) {
        const ssize_t len = read(radio->fd, frame, sizeof(frame));
        if (len < 0) {
            if (errno == EBADFD || errno == EBADF || errno == ENODEV) {
                radio->fd = -1; /* its namespace has ended; poll() would report it for ever */
            }
            return;
        }
        hand_up(radio, frame, (size_t)len);
    }
}

static void *receive(void *arg)
{
    (void)arg;
    for (;;) {
        struct pollfd p[STACK_SIDES];
        for (int i = 0; i < STACK_SIDES; i++) {
            p[i] = (struct pollfd){.fd = radios[i].fd, .events = POLLIN};
        }
        (void)poll(p, STACK_SIDES, -1);
        for (int i = 0; i < STACK_SIDES; i++) {
            if (p[i].revents != 0) {
                take_frames(&radios[i]);
            }
        }
    }
    return NULL;
}

/* netif->linkoutput. A radio that is full (EAGAIN) or without a link (EIO) loses the frame. */
static err_t radio_output(struct netif *netif, struct pbuf *p)
{
    const struct radio *radio = netif->state;
    uint8_t frame[FRAME_MAX];
    const u16_t len = pbuf_copy_partial(p, frame, sizeof(frame), 0);
    if (len != p->tot_len) {
        return ERR_BUF;
    }
    return radio->fd >= 0 && write(radio->fd, frame, len) == (ssize_t)len ? ERR_OK : ERR_IF;
}

static err_t radio_init(struct netif *netif)
{
    const bool station = netif->state == &radios[STACK_UPLINK];
    netif->name[0] = station ? 's' : 'a';
    netif->name[1] = station ? 't' : 'p';
    netif->mtu = MTU;
    netif->hwaddr_len = ETH_HWADDR_LEN;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP;
    netif->output = etharp_output;
    netif->linkoutput = radio_output;
    return ERR_OK;
}

/* --- in lwIP's thread ------------------------------------------------------------------------------------------- */

struct order {
    struct tcpip_api_call_data call;
    enum stack_side side;
    bool on;
    const uint8_t *mac;
    struct stack_addresses *addresses;
    ip4_addr_t *servers;
    const ip4_addr_t *from;
    const ip4_addr_t *group;
    int count;
};

static int errno_of(err_t error)
{
    return error == ERR_OK ? 0 : err_to_errno(error);
}

static int run(tcpip_api_call_fn function, struct order *order)
{
    const int error = stack_start();
    return error != 0 ? error : errno_of(tcpip_api_call(function, &order->call));
}

static void choose_default(void)
{
    struct netif *station = &radios[STACK_UPLINK].netif;
    struct netif *other = &radios[STACK_SEGMENT].netif;
    netif_set_default(radios[STACK_UPLINK].on && netif_is_up(station) ? station
                      : radios[STACK_SEGMENT].on                      ? other
                                                                      : NULL);
}

static void put_addresses(struct netif *netif, const struct stack_addresses *to)
{
    netif_set_addr(netif, &to->addr, &to->mask, &to->router);
}

static err_t do_switch(struct tcpip_api_call_data *call)
{
    const struct order *order = (const struct order *)call;
    struct radio *radio = &radios[order->side];
    if (!order->on) {
        if (order->side == STACK_UPLINK) {
            dhcp_stop(&radio->netif);
            dhcp_cleanup(&radio->netif);
        }
        glue_lwip_detach((enum glue_side)order->side);
        netif_remove(&radio->netif);
        choose_default();
        return ERR_OK;
    }
    memset(&radio->netif, 0, sizeof(radio->netif));
    if (netif_add(&radio->netif, NULL, NULL, NULL, radio, radio_init, tcpip_input) == NULL) {
        return ERR_MEM;
    }
    memcpy(radio->netif.hwaddr, order->mac, ETH_HWADDR_LEN);
    netif_set_hostname(&radio->netif, hostname);
    glue_lwip_attach((enum glue_side)order->side, &radio->netif);
    if (order->side == STACK_SEGMENT) {
        put_addresses(&radio->netif, &segment_addresses);
        netif_set_link_up(&radio->netif);
        netif_set_up(&radio->netif);
    }
    return ERR_OK;
}

int stack_switch(enum stack_side side, bool on, const uint8_t mac[6])
{
    struct radio *radio = &radios[side];
    if (on == radio->on) {
        return 0;
    }
    struct order order = {.side = side, .on = on, .mac = mac};
    if (!on) {
        (void)pthread_mutex_lock(&radio->lock);
        radio->on = false; /* no frame comes up any more */
        (void)pthread_mutex_unlock(&radio->lock);
    }
    const int error = run(do_switch, &order);
    if (on && error == 0) {
        (void)pthread_mutex_lock(&radio->lock);
        radio->on = true;
        (void)pthread_mutex_unlock(&radio->lock);
    }
    return error;
}

static err_t do_link(struct tcpip_api_call_data *call)
{
    const struct order *order = (const struct order *)call;
    struct netif *netif = &radios[order->side].netif;
    if (!radios[order->side].on || order->on == (netif_is_up(netif) != 0)) {
        return ERR_OK;
    }
    err_t error = ERR_OK;
    if (order->on) {
        netif_set_link_up(netif);
        netif_set_up(netif);
        error = dhcp_wanted ? dhcp_start(netif) : ERR_OK;
    } else {
        dhcp_stop(netif);
        netif_set_addr(netif, NULL, NULL, NULL);
        netif_set_link_down(netif);
        netif_set_down(netif);
    }
    choose_default();
    return error;
}

int stack_link(enum stack_side side, bool up)
{
    struct order order = {.side = side, .on = up};
    return run(do_link, &order);
}

static err_t do_dhcp(struct tcpip_api_call_data *call)
{
    const struct order *order = (const struct order *)call;
    struct netif *netif = &radios[STACK_UPLINK].netif;
    const bool was = dhcp_wanted;
    dhcp_wanted = order->on;
    if (!radios[STACK_UPLINK].on || was == order->on || !netif_is_up(netif)) {
        return ERR_OK;
    }
    if (!order->on) {
        dhcp_stop(netif);
        return ERR_OK;
    }
    return dhcp_start(netif);
}

int stack_dhcp(bool on)
{
    struct order order = {.on = on};
    return run(do_dhcp, &order);
}

static err_t do_renew(struct tcpip_api_call_data *call)
{
    (void)call;
    struct netif *netif = &radios[STACK_UPLINK].netif;
    return radios[STACK_UPLINK].on && dhcp_supplied_address(netif) ? dhcp_renew(netif) : ERR_OK;
}

int stack_renew(void)
{
    struct order order = {.on = true};
    return run(do_renew, &order);
}

void stack_hostname(const char *name)
{
    (void)snprintf(hostname, sizeof(hostname), "%s", name);
}

static err_t do_set_addresses(struct tcpip_api_call_data *call)
{
    const struct order *order = (const struct order *)call;
    if (order->side == STACK_SEGMENT) {
        segment_addresses = *order->addresses;
    }
    if (radios[order->side].on) {
        put_addresses(&radios[order->side].netif, order->addresses);
    }
    return ERR_OK;
}

int stack_set_addresses(enum stack_side side, const struct stack_addresses *to)
{
    struct stack_addresses copy = *to;
    struct order order = {.side = side, .addresses = &copy};
    return run(do_set_addresses, &order);
}

static err_t do_addresses(struct tcpip_api_call_data *call)
{
    const struct order *order = (const struct order *)call;
    const struct netif *netif = &radios[order->side].netif;
    memset(order->addresses, 0, sizeof(*order->addresses));
    if (radios[order->side].on) {
        ip4_addr_copy(order->addresses->addr, *netif_ip4_addr(netif));
        ip4_addr_copy(order->addresses->mask, *netif_ip4_netmask(netif));
        ip4_addr_copy(order->addresses->router, *netif_ip4_gw(netif));
    }
    return ERR_OK;
}

void stack_addresses(enum stack_side side, struct stack_addresses *is)
{
    struct order order = {.side = side, .addresses = is};
    if (run(do_addresses, &order) != 0) {
        memset(is, 0, sizeof(*is));
    }
}

static err_t do_set_dns(struct tcpip_api_call_data *call)
{
    const struct order *order = (const struct order *)call;
    ip_addr_t server;
    ip_addr_copy_from_ip4(server, *order->from);
    dns_setserver(0, &server);
    return ERR_OK;
}

int stack_set_dns(const ip4_addr_t *server)
{
    struct order order = {.from = server};
    return run(do_set_dns, &order);
}

static err_t do_dns(struct tcpip_api_call_data *call)
{
    struct order *order = (struct order *)call;
    int found = 0;
    for (u8_t i = 0; i < DNS_MAX_SERVERS && found < order->count; i++) {
        const ip_addr_t *server = dns_getserver(i);
        if (IP_IS_V4(server) && !ip_addr_isany(server)) {
            order->servers[found++] = *ip_2_ip4(server);
        }
    }
    order->count = found;
    return ERR_OK;
}

int stack_dns(ip4_addr_t *servers, int room)
{
    struct order order = {.servers = servers, .count = room};
    return run(do_dns, &order) == 0 ? order.count : 0;
}

static err_t do_join_group(struct tcpip_api_call_data *call)
{
    const struct order *order = (const struct order *)call;
    return igmp_joingroup(order->from, order->group);
}

err_t stack_join_group(const ip4_addr_t *interface, const ip4_addr_t *group)
{
    /* The caller's buffer need not be aligned. */
    ip4_addr_t from;
    ip4_addr_t to;
    memcpy(&from, interface, sizeof(from));
    memcpy(&to, group, sizeof(to));
    struct order order = {.from = &from, .group = &to};
    return tcpip_api_call(do_join_group, &order.call);
}

/* --- the beginning ---------------------------------------------------------------------------------------------- */

/* SPEAKEASY_TAPS: "uplink,segment", two open descriptors. */
static int take_taps(void)
{
    const char *at = getenv("SPEAKEASY_TAPS");
    for (int i = 0; i < STACK_SIDES; i++) {
        char *end = NULL;
        const long n = at == NULL ? -1 : strtol(at, &end, 10);
        const char after = i + 1 < STACK_SIDES ? ',' : '\0';
        if (at == NULL || end == at || *end != after || n < 0 || n > 1 << 20) {
            return ENODEV;
        }
        const int flags = fcntl((int)n, F_GETFL);
        if (flags < 0 || fcntl((int)n, F_SETFL, flags | O_NONBLOCK) < 0) {
            return ENODEV;
        }
        radios[i].fd = (int)n;
        at = end + 1;
    }
    return 0;
}

static void changed(struct netif *netif, netif_nsc_reason_t reason, const netif_ext_callback_args_t *args)
{
    (void)args;
    const netif_nsc_reason_t wanted = LWIP_NSC_IPV4_ADDRESS_CHANGED | LWIP_NSC_IPV4_SETTINGS_CHANGED;
    if (netif == &radios[STACK_UPLINK].netif && (reason & wanted) != 0 && stack_changed != NULL) {
        stack_changed();
    }
}

static err_t do_watch(struct tcpip_api_call_data *call)
{
    static netif_ext_callback_t callback;
    (void)call;
    netif_add_ext_callback(&callback, changed);
    return ERR_OK;
}

int stack_start(void)
{
    if (started) {
        return 0;
    }
    unsigned int seed = 0;
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        return EIO;
    }
    srand(seed); /* contrib's LWIP_RAND */
    /* Signals are for the interpreter's thread alone. */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    tcpip_init(NULL, NULL);
    struct order order = {.on = true};
    int error = errno_of(tcpip_api_call(do_watch, &order.call));
    if (error == 0 && take_taps() == 0) {
        error = glue_posix_thread(receive); /* without TAPs: lwIP with its loopback alone */
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    started = error == 0;
    return error;
}
