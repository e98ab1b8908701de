// MicroPython's options for every ESP32 board; to be included by its mpconfigboard.h.

// What the pairing session ciphers with.
#define MICROPY_PY_CRYPTOLIB_CTR (1)

// The name that DHCP tells the uplink's network.
#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT "speakeasy"

// Answering mDNS is the firmware's and the speaker's business.
#define MICROPY_HW_ENABLE_MDNS_QUERIES (0)
#define MICROPY_HW_ENABLE_MDNS_RESPONDER (0)

// Nothing here uses them, and two images must fit.
#define MICROPY_PY_ESPNOW (0)
#define MICROPY_HW_ENABLE_SDCARD (0)
#define MICROPY_PY_MACHINE_I2S (0)
#define MICROPY_PY_MACHINE_DAC (0)
