/* What ports/esp32/modsocket.c needs of ESP-IDF's network interfaces. */
#ifndef ESP_NETIF_H
#define ESP_NETIF_H

typedef int esp_err_t;
typedef int esp_interface_t;
typedef struct esp_netif esp_netif_t;

#define ESP_OK 0

/* Starts lwIP, once. */
esp_err_t esp_netif_init(void);

#endif
