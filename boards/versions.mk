# The releases that a board's image is built from. They go together: ports/esp32/README.md of that MicroPython recommends that ESP-IDF, and its
# lockfiles name the components of Espressif's that were tested with it. 1.27 is the newest MicroPython that our tests ran on, beside the 1.25 of
# Debian's that the simulated board is made of. (Only the variant QEMU of ESP32_C3 needs a later one: its README.md.)
MICROPYTHON_RELEASE := v1.27.0
ESP_IDF_RELEASE := v5.5.1
