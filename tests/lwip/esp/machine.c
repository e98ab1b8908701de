/*
 * glue_esp.c on stock lwIP: its interfaces are added and removed by netif_add() and netif_remove(), as ESP-IDF does when a driver starts
 * and stops. `glue-esp wifi`, `glue-esp segment`, `glue-esp uplink`: which side is a cable.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "esp_fake.h"
#include "frames.h"
#include "glue_lwip.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/sys.h"
#include "lwip/timeouts.h"

#define CHECK(holds)                                                                                                   \
    do {                                                                                                               \
        if (!(holds)) {                                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds);                                                \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ---- lwIP's port: one thread ---- */

void *harness_malloc(size_t size)
{
    return malloc(size);
}

void *harness_calloc(size_t count, size_t size)
{
    return calloc(count, size);
}

void harness_free(void *block)
{
    free(block);
}

uint32_t sys_now(void)
{
    return glue_now_ms();
}

unsigned int lwip_port_rand(void);
unsigned int lwip_port_rand(void)
{
    return 4;
}

sys_prot_t sys_arch_protect(void)
{
    return 0;
}

void sys_arch_unprotect(sys_prot_t before)
{
    (void)before;
}

/* ---- ESP-IDF ---- */

static unsigned locks_held;
static int64_t now_us = 1000000;

SemaphoreHandle_t xSemaphoreCreateMutexStatic(StaticSemaphore_t *room)
{
    return room;
}

int xSemaphoreTake(SemaphoreHandle_t semaphore, int ticks)
{
    CHECK(ticks == portMAX_DELAY && !semaphore->held); /* nobody else would give it back */
    semaphore->held = true;
    locks_held++;
    return 1;
}

int xSemaphoreGive(SemaphoreHandle_t semaphore)
{
    CHECK(semaphore->held);
    semaphore->held = false;
    locks_held--;
    return 1;
}

/* What there is to make random numbers of, and when the last one was made. */
static bool wifi_is_on, bluetooth_is_on, adc_is_on;
static int64_t drawn_us;
static unsigned words;

esp_err_t esp_wifi_get_max_tx_power(int8_t *power)
{
    *power = 80;
    return wifi_is_on ? ESP_OK : ESP_FAIL;
}

int esp_bt_controller_get_status(void)
{
    return bluetooth_is_on ? 2 : 1;
}

void bootloader_random_enable(void)
{
    CHECK(!wifi_is_on && !bluetooth_is_on && !adc_is_on);
    adc_is_on = true;
    drawn_us = now_us;
}

void bootloader_random_disable(void)
{
    CHECK(adc_is_on);
    adc_is_on = false;
}

void esp_rom_delay_us(uint32_t us)
{
    now_us += us;
}

uint32_t esp_random(void)
{
    CHECK(adc_is_on || wifi_is_on || bluetooth_is_on);
    CHECK(!adc_is_on || now_us - drawn_us >= 64); /* twice as long as a word takes ESP-IDF's bootloader, for a byte */
    drawn_us = now_us;
    return 0x01020408u * ++words;
}

void esp_fill_random(void *buf, size_t len)
{
    CHECK(wifi_is_on || bluetooth_is_on);
    memset(buf, 9, len);
}

static void random_numbers(void)
{
    static const uint8_t of_the_adc[] = {1 ^ 2 ^ 4 ^ 8, 2 ^ 4 ^ 8 ^ 16, 3 ^ 6 ^ 12 ^ 24};
    uint8_t bytes[3];
    CHECK(glue_random(bytes, sizeof(bytes)) == 0 && !adc_is_on);
    CHECK(words == sizeof(bytes) && memcmp(bytes, of_the_adc, sizeof(bytes)) == 0);
    for (unsigned i = 0; i < 2; i++) {
        wifi_is_on = i == 0;
        bluetooth_is_on = i == 1;
        CHECK(glue_random(bytes, sizeof(bytes)) == 0 && words == sizeof(bytes) && bytes[2] == 9);
    }
}

int64_t esp_timer_get_time(void)
{
    return now_us;
}

static struct esp_timer {
    esp_timer_create_args_t args;
    bool runs;
    bool fires; /* its callback is at work: esp_timer's task */
} timer;

esp_err_t esp_timer_create(const esp_timer_create_args_t *create_args, esp_timer_handle_t *out_handle)
{
    CHECK(timer.args.callback == NULL); /* one is enough */
    timer.args = *create_args;
    *out_handle = &timer;
    return ESP_OK;
}

static esp_err_t timer_result = ESP_OK;

esp_err_t esp_timer_start_periodic(esp_timer_handle_t handle, uint64_t period)
{
    CHECK(handle == &timer && !timer.runs && period == 100000);
    timer.runs = timer_result == ESP_OK;
    return timer_result;
}

esp_err_t esp_timer_stop(esp_timer_handle_t handle)
{
    CHECK(handle == &timer && timer.runs);
    timer.runs = false;
    return ESP_OK;
}

static void time_passes(unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 100) {
        now_us += 100000;
        timer.fires = true;
        timer.args.callback(timer.args.arg);
        timer.fires = false;
        sys_check_timeouts(); /* lwIP's thread */
    }
}

struct esp_netif_obj {
    const char *key;
    struct netif netif;
    bool made; /* network.WLAN(), network.LAN() */
    unsigned sent, received;
    unsigned joins[2]; /* membership reports that were sent, of SSDP's and mDNS's group */
};

static struct esp_netif_obj station = {.key = "WIFI_STA_DEF"};
static struct esp_netif_obj access_point = {.key = "WIFI_AP_DEF"};
static struct esp_netif_obj lan = {.key = "ETH_DEF"};

esp_netif_t *esp_netif_get_handle_from_ifkey(const char *if_key)
{
    struct esp_netif_obj *const all[] = {&station, &access_point, &lan};
    CHECK(locks_held == 0);
    for (size_t i = 0; i < 3; i++) {
        if (all[i]->made && strcmp(all[i]->key, if_key) == 0) {
            return all[i];
        }
    }
    return NULL;
}

void *esp_netif_get_netif_impl(esp_netif_t *esp_netif)
{
    return &esp_netif->netif;
}

void *esp_netif_get_io_driver(esp_netif_t *esp_netif)
{
    CHECK(esp_netif == &lan);
    return &lan;
}

static esp_err_t exec_result = ESP_OK;

esp_err_t esp_netif_tcpip_exec(esp_netif_callback_fn fn, void *ctx)
{
    CHECK(locks_held == 0); /* it waits for lwIP's thread */
    return exec_result == ESP_OK ? fn(ctx) : exec_result;
}

static unsigned deauths;

esp_err_t esp_wifi_ap_get_sta_aid(const uint8_t mac[6], uint16_t *aid)
{
    CHECK(locks_held == 0); /* it waits for the Wi-Fi task */
    *aid = memcmp(mac, speaker_mac, 6) == 0 ? 3 : 0;
    return *aid != 0 ? ESP_OK : ESP_ERR_NOT_FOUND;
}

esp_err_t esp_wifi_deauth_sta(uint16_t aid)
{
    CHECK(locks_held == 0 && aid == 3); /* 0 would be everybody */
    deauths++;
    return ESP_OK;
}

static uint32_t bmcr = 0x2100; /* 100 Mbit/s, full duplex, no negotiation */
static unsigned negotiations;
static bool all_multicast;

esp_err_t esp_eth_ioctl(esp_eth_handle_t hdl, esp_eth_io_cmd_t cmd, void *data)
{
    const esp_eth_phy_reg_rw_data_t *const control = data;
    CHECK(hdl == &lan);
    if (cmd == ETH_CMD_S_ALL_MULTICAST) {
        all_multicast = *(const bool *)data;
        return ESP_OK;
    }
    CHECK(timer.fires && locks_held == 0 && control->reg_addr == 0);
    if (cmd == ETH_CMD_READ_PHY_REG) {
        *control->reg_value_p = bmcr;
    } else {
        CHECK((*control->reg_value_p & 0x1200) == 0x1200 && (*control->reg_value_p & 0x2100) == 0x2100);
        negotiations++;
    }
    return ESP_OK;
}

/* ---- Drivers ---- */

/* RFC 2236: a report of version 2, to the group that it is about. */
static void note_report(struct esp_netif_obj *i, const uint8_t *frame, size_t len)
{
    static const uint8_t groups[2][4] = {{239, 255, 255, 250}, {224, 0, 0, 251}};
    const size_t ip = 14;
    if (len < ip + 32 || frame[12] != 8 || frame[13] != 0 || frame[ip + 9] != 2) {
        return;
    }
    const uint8_t *const igmp = frame + ip + (frame[ip] & 15) * 4;
    CHECK(igmp[0] == 0x16 && memcmp(frame + ip + 16, igmp + 4, 4) == 0 && frame[ip + 8] == 1);
    CHECK(memcmp(frame + ip + 12, x_addr, 4) == 0);
    for (size_t g = 0; g < 2; g++) {
        i->joins[g] += memcmp(igmp + 4, groups[g], 4) == 0 ? 1 : 0;
    }
}

static err_t sends_result = ERR_OK;

static err_t sends(struct netif *netif, struct pbuf *p)
{
    struct esp_netif_obj *const i = netif->state;
    note_report(i, p->payload, p->len);
    CHECK(p->next == NULL && locks_held == (i == &lan ? 1 : 0)); /* the cable's own, and never the filter's */
    i->sent++;
    return sends_result;
}

/* In the place of tcpip_input(). */
static err_t receives(struct pbuf *p, struct netif *netif)
{
    struct esp_netif_obj *const i = netif->state;
    CHECK(locks_held == 0);
    i->received++;
    (void)pbuf_free(p);
    return ERR_OK;
}

static err_t init(struct netif *netif)
{
    netif->output = etharp_output;
    netif->linkoutput = sends;
    netif->mtu = 1500;
    netif->hwaddr_len = 6;
    memcpy(netif->hwaddr, uplink_mac, 6);
    netif->flags |= NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP;
    return ERR_OK;
}

static void driver_starts(struct esp_netif_obj *i)
{
    CHECK(netif_add(&i->netif, NULL, NULL, NULL, i, init, receives) == &i->netif);
    netif_set_up(&i->netif);
    netif_set_link_up(&i->netif);
}

static void driver_stops(struct esp_netif_obj *i)
{
    netif_remove(&i->netif);
}

/* ---- What is promised ---- */

static struct pf pf;
static unsigned number;

/* How many frames come to the speaker of one that a phone sends to it. */
static unsigned comes_through(struct esp_netif_obj *uplink, struct esp_netif_obj *segment)
{
    struct frame f;
    const unsigned before = segment->sent;
    frames_connection(&f, number++, false);
    struct pbuf *const p = pbuf_alloc(PBUF_RAW, (u16_t)f.len, PBUF_RAM);
    CHECK(p != NULL && pbuf_take(p, f.bytes, (u16_t)f.len) == ERR_OK);
    CHECK(uplink->netif.input(p, &uplink->netif) == ERR_OK);
    CHECK(uplink->received == 0 && segment->received == 0);
    return segment->sent - before;
}

static void stops_and_starts(struct esp_netif_obj *uplink, struct esp_netif_obj *segment, struct esp_netif_obj *one)
{
    driver_stops(one);
    CHECK(comes_through(uplink, segment) == 0);
    driver_starts(one);
    CHECK(comes_through(uplink, segment) == 1);
    netif_set_link_down(&one->netif); /* disconnected, connected, another address: nothing to the glue */
    netif_set_link_up(&one->netif);
    ip4_addr_t addr;
    IP4_ADDR(&addr, 10, 66, 0, 78);
    netif_set_ipaddr(&one->netif, &addr);
    CHECK(comes_through(uplink, segment) == 1);
}

/* Both groups' members are told of once the interface has its address, and again and again. */
static void tells_of_groups(struct esp_netif_obj *uplink)
{
    ip4_addr_t addr;
    IP4_ADDR(&addr, x_addr[0], x_addr[1], x_addr[2], x_addr[3]);
    const unsigned first = uplink->joins[0], second = uplink->joins[1];
    netif_set_ipaddr(&uplink->netif, &addr);
    time_passes(1000);
    CHECK(uplink->joins[0] > first && uplink->joins[1] > second);
    const unsigned third = uplink->joins[0], fourth = uplink->joins[1];
    time_passes(180000); /* nobody asks */
    CHECK(uplink->joins[0] >= third + 2 && uplink->joins[1] >= fourth + 2);
}

static void deauth(const uint8_t mac[6])
{
    glue_lock();
    glue_deauth(mac);
    glue_unlock();
}

int main(int argc, char **argv)
{
    static const uint8_t stranger[6] = {2, 9, 9, 9, 9, 9};
    static const uint8_t key[16] = {1, 2, 3, 4, 5, 6, 7, 8};
    CHECK(argc == 2);
    if (strcmp(argv[1], "random") == 0) {
        random_numbers();
        return 0;
    }
    const bool by_wifi = strcmp(argv[1], "wifi") == 0;
    const bool cable_outside = strcmp(argv[1], "uplink") == 0;
    CHECK(by_wifi || cable_outside || strcmp(argv[1], "segment") == 0);
    struct esp_netif_obj *const uplink = cable_outside ? &lan : &station;
    struct esp_netif_obj *const segment = by_wifi || cable_outside ? &access_point : &lan;
    const enum glue_ethernet ethernet = by_wifi         ? GLUE_NO_ETHERNET
                                        : cable_outside ? GLUE_ETHERNET_UPLINK
                                                        : GLUE_ETHERNET_SEGMENT;
    lwip_init();
    glue_lock(); /* the interpreter's first call is before start */
    pf_init(&pf, key, glue_out, NULL, glue_now_ms());
    frames_configure(&pf, 1, glue_now_ms());
    glue_unlock();
    CHECK(glue_now_ms() == now_us / 1000);

    /* Without its interfaces, or its timer, it does not start, nor when lwIP cannot be asked. */
    CHECK(glue_start(&pf, ethernet) == ENODEV);
    segment->made = true;
    CHECK(glue_start(&pf, ethernet) == ENODEV);
    segment->made = false;
    uplink->made = true;
    CHECK(glue_start(&pf, ethernet) == ENODEV && !timer.runs);
    segment->made = true;
    driver_starts(uplink);
    timer_result = ESP_FAIL;
    CHECK(glue_start(&pf, ethernet) == EIO && !timer.runs);
    timer_result = ESP_OK;
    exec_result = ESP_FAIL;
    CHECK(glue_start(&pf, ethernet) == EIO && !timer.runs);
    exec_result = ESP_OK;

    /* One was there before, the other comes later. */
    CHECK(glue_start(&pf, ethernet) == 0 && timer.runs);
    CHECK(comes_through(uplink, segment) == 0);
    driver_starts(segment);
    CHECK(comes_through(uplink, segment) == 1);
    for (unsigned round = 0; round < 3; round++) {
        stops_and_starts(uplink, segment, segment);
        stops_and_starts(uplink, segment, uplink);
    }
    tells_of_groups(uplink);
    driver_stops(uplink);
    time_passes(120000); /* with nothing to tell, and nowhere to tell it */
    driver_starts(uplink);
    tells_of_groups(uplink);
    CHECK(segment->joins[0] + segment->joins[1] == 0);
    CHECK(all_multicast == !by_wifi);
    /* What a driver does not take is lost. */
    const uint32_t lost = pf.counters[PF_C_glue_lost];
    sends_result = ERR_MEM;
    CHECK(comes_through(uplink, segment) == 1 && pf.counters[PF_C_glue_lost] == lost + 1);
    sends_result = ERR_OK;
    /* Another interface is nothing to the glue. */
    static struct esp_netif_obj other;
    driver_starts(&other);
    CHECK(other.netif.input == receives && other.netif.linkoutput == sends);

    /* The timer is the filter's: the lease ends. */
    glue_lock();
    CHECK(pf_lease_add(&pf, pf_wire32(phone_addr), NULL, 2, glue_now_ms()) >= 0);
    glue_unlock();
    time_passes(3000);
    struct pf_lease_info info;
    CHECK(!pf_lease_get(&pf, 0, &info, glue_now_ms()) && pf.counters[PF_C_leases_expired] == 1);

    /* The speaker has to come again; nobody else is dropped. */
    deauth(stranger);
    time_passes(200);
    const bool by_cable = segment == &lan;
    CHECK(deauths == 0 && negotiations == (by_cable ? 1 : 0)); /* at a cable's end there is only one */
    deauth(speaker_mac);
    CHECK(deauths == (by_cable ? 0 : 1));
    time_passes(500);
    CHECK(deauths == (by_cable ? 0 : 1) && negotiations == (by_cable ? 2 : 0));
    return 0;
}
