/* What ports/esp32/modsocket.c needs of ESP-IDF's log. */
#ifndef ESP_LOG_H
#define ESP_LOG_H

#define ESP_LOGI(tag, ...) ((void)(tag))
#define ESP_LOGE(tag, format, ...) ((void)fprintf(stderr, "%s: " format "\n", tag, __VA_ARGS__))

#endif
