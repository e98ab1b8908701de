/* As much of ESP-IDF as glue_esp.c calls, with the names and types of its headers (`make check-idf` compiles it against those). machine.c plays it. */
#ifndef ESP_FAKE_H
#define ESP_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_ETH_ENABLED 1
#define CONFIG_BT_ENABLED 1

#define ESP_IDF_VERSION_VAL(major, minor, patch) (((major) << 16) | ((minor) << 8) | (patch))
#define ESP_IDF_VERSION ESP_IDF_VERSION_VAL(5, 5, 1)

typedef int esp_err_t;
enum { ESP_OK = 0, ESP_FAIL = -1, ESP_ERR_NOT_FOUND = 0x105 };

typedef struct esp_netif_obj esp_netif_t;
typedef esp_err_t (*esp_netif_callback_fn)(void *ctx);
esp_netif_t *esp_netif_get_handle_from_ifkey(const char *if_key);
void *esp_netif_get_netif_impl(esp_netif_t *esp_netif);
void *esp_netif_get_io_driver(esp_netif_t *esp_netif);
esp_err_t esp_netif_tcpip_exec(esp_netif_callback_fn fn, void *ctx);

void esp_fill_random(void *buf, size_t len);
uint32_t esp_random(void);
void esp_rom_delay_us(uint32_t us);
void bootloader_random_enable(void);
void bootloader_random_disable(void);

int esp_bt_controller_get_status(void);
esp_err_t esp_wifi_get_max_tx_power(int8_t *power);

typedef struct esp_timer *esp_timer_handle_t;
typedef struct {
    void (*callback)(void *arg);
    void *arg;
    int dispatch_method;
    const char *name;
    bool skip_unhandled_events;
} esp_timer_create_args_t;
esp_err_t esp_timer_create(const esp_timer_create_args_t *create_args, esp_timer_handle_t *out_handle);
esp_err_t esp_timer_start_periodic(esp_timer_handle_t timer, uint64_t period);
esp_err_t esp_timer_stop(esp_timer_handle_t timer);
int64_t esp_timer_get_time(void);

esp_err_t esp_wifi_ap_get_sta_aid(const uint8_t mac[6], uint16_t *aid);
esp_err_t esp_wifi_deauth_sta(uint16_t aid);

typedef void *esp_eth_handle_t;
typedef struct {
    uint32_t reg_addr;
    uint32_t *reg_value_p;
} esp_eth_phy_reg_rw_data_t;
typedef enum { ETH_CMD_READ_PHY_REG, ETH_CMD_WRITE_PHY_REG, ETH_CMD_S_ALL_MULTICAST } esp_eth_io_cmd_t;
esp_err_t esp_eth_ioctl(esp_eth_handle_t hdl, esp_eth_io_cmd_t cmd, void *data);

typedef struct {
    bool held;
} StaticSemaphore_t;
typedef StaticSemaphore_t *SemaphoreHandle_t;
enum { portMAX_DELAY = 0x7fffffff };
SemaphoreHandle_t xSemaphoreCreateMutexStatic(StaticSemaphore_t *room);
int xSemaphoreTake(SemaphoreHandle_t semaphore, int ticks);
int xSemaphoreGive(SemaphoreHandle_t semaphore);

#endif
