# What goes on an ESP32 besides MicroPython: USER_C_MODULES of its build.
include(${CMAKE_CURRENT_LIST_DIR}/pktfilter/micropython.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/enterprise/micropython.cmake)
