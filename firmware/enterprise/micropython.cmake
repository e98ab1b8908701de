# The module `eap` for MicroPython on the ESP32.
add_library(usermod_eap INTERFACE)
target_sources(usermod_eap INTERFACE ${CMAKE_CURRENT_LIST_DIR}/modeap.c)
# ESP-IDF's header is on nobody's path in MicroPython's build.
target_include_directories(usermod_eap INTERFACE ${CMAKE_CURRENT_LIST_DIR} ${IDF_PATH}/components/wpa_supplicant/esp_supplicant/include)
target_link_libraries(usermod INTERFACE usermod_eap)
