/*
 * What glue_lwip.c needs of an ESP32 (ESP-IDF 5.3 to 5.5): which of its interfaces are uplink and segment, lock, clock, timer.
 *
 * The interfaces are MicroPython's: network.WLAN() and network.LAN() must have made them before start. lwIP itself tells when one is
 * added or removed (netif_ext_callback, in lwIP's thread, inside netif_add() and netif_remove()): ESP-IDF adds an interface each
 * time that its driver starts, and sets its functions afresh; it removes it when the driver stops. So no frame is received
 * between the two that the filter does not see, in whatever order handlers of events run. Connecting, disconnecting, another address change
 * neither function, and are nothing to the glue.
 *
 * Threads: frames of the Wi-Fi driver come in its task (priority 23), of Ethernet in its own; lwIP sends in its thread; the timer is
 * esp_timer's task; control comes in MicroPython's (priority 1), to which the mutex lends the priority of who waits. Sending from the
 * Wi-Fi task is what ESP-IDF's own supplicant does, too. Ethernet drivers want one sender at a time, unless CONFIG_ETH_TRANSMIT_MUTEX is
 * set: here they have a lock of ours.
 *
 * Groups: the filter has to see what phones and the speaker look for each other by, SSDP and mDNS. A Wi-Fi driver hands over all that it
 * hears; an Ethernet driver only what it was asked for, from 5.5 on, so it is asked for everything. A switch or an access point that
 * listens to IGMP (RFC 4541) sends only what somebody near has joined, so the uplink's interface joins both groups. The filter lets no
 * query of a router through, so membership is told unasked. All of it in lwIP's thread.
 */
#include "glue_lwip.h"

#include <errno.h>

#include "bootloader_random.h"
#include "esp_idf_version.h"
#include "esp_netif.h"
#include "esp_netif_net_stack.h"
#include "esp_random.h"
#include "esp_rom_sys.h"
#include "esp_timer.h"
#include "esp_wifi.h"
#include "freertos/FreeRTOS.h"
#include "freertos/semphr.h"
#include "lwip/igmp.h"
#include "lwip/netif.h"
#include "lwip/timeouts.h"
#include "sdkconfig.h"

#if CONFIG_ETH_ENABLED
#include "esp_eth_driver.h"
#endif

enum { TICK_US = 100000 };
enum { REPORT_MS = 60000 }; /* a membership ends after 260 s (RFC 2236, section 8.4) */

/* From the ADC alone a bit comes in 0.5 us: ESP-IDF's own bootloader takes 32 of them in twice that time. Here it is a byte. */
enum { ADC_BYTE_US = 64 };

static struct {
    StaticSemaphore_t room, cable_room;
    SemaphoreHandle_t lock; /* NULL: not made yet */
    struct netif *netif[GLUE_SIDES];
    netif_ext_callback_t watch;
    esp_timer_handle_t timer;
    bool cut_off; /* the cable's other end has to see the link go. Guarded by the lock. */
    struct {
        esp_netif_t *netif; /* NULL: there is none */
        enum glue_side side;
        SemaphoreHandle_t lock;
        netif_linkoutput_fn linkoutput; /* the driver's */
    } cable;
} esp;

void glue_platform_lock(void)
{
    if (esp.lock == NULL) { /* the first call is MicroPython's, before there is another thread */
        esp.lock = xSemaphoreCreateMutexStatic(&esp.room);
    }
    (void)xSemaphoreTake(esp.lock, portMAX_DELAY);
}

void glue_platform_unlock(void)
{
    (void)xSemaphoreGive(esp.lock);
}

uint32_t glue_now_ms(void)
{
    return (uint32_t)(esp_timer_get_time() / 1000);
}

#if CONFIG_BT_ENABLED
/* esp_bt.h, in which this stands, takes NimBLE's own headers along on some chips. The numbers are the same on all:
 * ESP_BT_CONTROLLER_STATUS_ENABLED. */
enum { BLUETOOTH_IS_ON = 2 };
int esp_bt_controller_get_status(void);
#endif

static bool radio_is_on(void)
{
    int8_t power;
#if CONFIG_BT_ENABLED
    if (esp_bt_controller_get_status() == BLUETOOTH_IS_ON) {
        return true;
    }
#endif
    return esp_wifi_get_max_tx_power(&power) == ESP_OK; /* else it was not started */
}

/* The chip's random numbers are made of a radio's noise. Before one is on (the secrets of the first boot, the keys of every one) they are
 * made of the ADC's, which must rest again when the radio begins: MicroPython's task, whose call this is, is the one that starts radios,
 * and nobody here uses the ADC. */
int glue_random(uint8_t *buf, size_t len)
{
    if (radio_is_on()) {
        esp_fill_random(buf, len);
        return 0;
    }
    bootloader_random_enable();
    for (size_t i = 0; i < len; i++) {
        esp_rom_delay_us(ADC_BYTE_US);
        const uint32_t word = esp_random();
        buf[i] = (uint8_t)(word ^ word >> 8 ^ word >> 16 ^ word >> 24);
    }
    bootloader_random_disable();
    return 0;
}

/* ---- The link of the segment's station ---- */

/* Clause 22 of IEEE 802.3: a PHY that negotiates anew is silent for 1.2 s first, and the other end sees its link go. In the timer's
 * task, where ESP-IDF's Ethernet driver looks after its PHY, too: there is nobody else at the registers. */
static void negotiate_anew(esp_netif_t *cable)
{
#if CONFIG_ETH_ENABLED
    enum { BMCR = 0, BMCR_AUTONEG = 1 << 12, BMCR_RESTART = 1 << 9 };
    uint32_t value = 0;
    esp_eth_phy_reg_rw_data_t control = {.reg_addr = BMCR, .reg_value_p = &value};
    esp_eth_handle_t driver = esp_netif_get_io_driver(cable);
    if (driver != NULL && esp_eth_ioctl(driver, ETH_CMD_READ_PHY_REG, &control) == ESP_OK) {
        value |= BMCR_AUTONEG | BMCR_RESTART;
        (void)esp_eth_ioctl(driver, ETH_CMD_WRITE_PHY_REG, &control);
    }
#else
    (void)cable;
#endif
}

static void take_all_groups(esp_netif_t *cable)
{
#if CONFIG_ETH_ENABLED && ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 5, 0)
    bool all = true;
    (void)esp_eth_ioctl(esp_netif_get_io_driver(cable), ETH_CMD_S_ALL_MULTICAST, &all);
#else
    (void)cable; /* it does */
#endif
}

void glue_platform_deauth(const uint8_t mac[6])
{
    uint16_t aid = 0; /* of everybody */
    if (esp.cable.netif != NULL && esp.cable.side == GLUE_SEGMENT) {
        glue_platform_lock();
        esp.cut_off = true;
        glue_platform_unlock();
    } else if (esp_wifi_ap_get_sta_aid(mac, &aid) == ESP_OK && aid != 0) {
        (void)esp_wifi_deauth_sta(aid);
    }
}

/* ---- Interfaces and timer ---- */

static err_t send_by_cable(struct netif *netif, struct pbuf *p)
{
    (void)xSemaphoreTake(esp.cable.lock, portMAX_DELAY);
    const err_t error = esp.cable.linkoutput(netif, p);
    (void)xSemaphoreGive(esp.cable.lock);
    return error;
}

/* The interface has just been added, or nobody has touched it since. In lwIP's thread. */
static void attach(enum glue_side side)
{
    struct netif *const netif = esp.netif[side];
    if (esp.cable.netif != NULL && esp.cable.side == side) {
        esp.cable.linkoutput = netif->linkoutput;
        netif->linkoutput = send_by_cable;
    }
    glue_lwip_attach(side, netif);
}

/* The interface is up. What is joined stays joined until it is removed. */
static void join_groups(struct netif *uplink)
{
    static const uint8_t groups[][4] = {{239, 255, 255, 250}, {224, 0, 0, 251}};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        ip4_addr_t group;
        IP4_ADDR(&group, groups[i][0], groups[i][1], groups[i][2], groups[i][3]);
        if (igmp_lookfor_group(uplink, &group) == NULL) {
            (void)igmp_joingroup_netif(uplink, &group);
        }
    }
}

static void report_groups(void *unused)
{
    (void)unused;
    igmp_report_groups(esp.netif[GLUE_UPLINK]);
    sys_timeout(REPORT_MS, report_groups, NULL);
}

/* In lwIP's thread. */
static void interface_changed(struct netif *netif, netif_nsc_reason_t reason, const netif_ext_callback_args_t *args)
{
    if (netif == esp.netif[GLUE_UPLINK] && (reason & LWIP_NSC_STATUS_CHANGED) != 0 && args->status_changed.state != 0) {
        join_groups(netif);
    }
    for (int side = 0; side < GLUE_SIDES; side++) {
        if (netif == esp.netif[side] && (reason & LWIP_NSC_NETIF_ADDED) != 0) {
            attach((enum glue_side)side);
        } else if (netif == esp.netif[side] && (reason & LWIP_NSC_NETIF_REMOVED) != 0) {
            glue_lwip_detach((enum glue_side)side);
        }
    }
}

static esp_err_t watch_interfaces(void *unused)
{
    (void)unused;
    netif_add_ext_callback(&esp.watch, interface_changed);
    const struct netif *i;
    NETIF_FOREACH(i)
    {
        for (int side = 0; side < GLUE_SIDES; side++) {
            if (i == esp.netif[side]) {
                attach((enum glue_side)side);
            }
        }
    }
    if (netif_is_up(esp.netif[GLUE_UPLINK])) {
        join_groups(esp.netif[GLUE_UPLINK]);
    }
    sys_timeout(REPORT_MS, report_groups, NULL);
    return ESP_OK;
}

static void tick(void *unused)
{
    (void)unused;
    glue_lwip_tick();
    glue_platform_lock();
    const bool cut_off = esp.cut_off;
    esp.cut_off = false;
    glue_platform_unlock();
    if (cut_off) {
        negotiate_anew(esp.cable.netif);
    }
}

int glue_platform_start(enum glue_ethernet ethernet)
{
    static const char station[] = "WIFI_STA_DEF";
    static const char access_point[] = "WIFI_AP_DEF";
    static const char lan[] = "ETH_DEF";
    const esp_timer_create_args_t timer = {.callback = tick, .name = "pktfilter", .skip_unhandled_events = true};
    esp_netif_t *const uplink = esp_netif_get_handle_from_ifkey(ethernet == GLUE_ETHERNET_UPLINK ? lan : station);
    esp_netif_t *const segment =
        esp_netif_get_handle_from_ifkey(ethernet == GLUE_ETHERNET_SEGMENT ? lan : access_point);
    if (uplink == NULL || segment == NULL) {
        return ENODEV;
    }
    if (esp.timer == NULL && esp_timer_create(&timer, &esp.timer) != ESP_OK) {
        return ENOMEM;
    }
    if (ethernet != GLUE_NO_ETHERNET) {
        esp.cable.side = ethernet == GLUE_ETHERNET_UPLINK ? GLUE_UPLINK : GLUE_SEGMENT;
        esp.cable.netif = ethernet == GLUE_ETHERNET_UPLINK ? uplink : segment;
        esp.cable.lock = xSemaphoreCreateMutexStatic(&esp.cable_room);
        take_all_groups(esp.cable.netif);
    }
    esp.netif[GLUE_UPLINK] = esp_netif_get_netif_impl(uplink);
    esp.netif[GLUE_SEGMENT] = esp_netif_get_netif_impl(segment);
    if (esp_timer_start_periodic(esp.timer, TICK_US) != ESP_OK) {
        return EIO;
    }
    if (esp_netif_tcpip_exec(watch_interfaces, NULL) != ESP_OK) {
        (void)esp_timer_stop(esp.timer);
        return EIO;
    }
    return 0;
}
