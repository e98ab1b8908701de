# The module `pktfilter` for MicroPython's CMake-based ports (ESP32). PKTFILTER_GLUE chooses the platform's glue files.
if(NOT DEFINED PKTFILTER_GLUE)
    set(PKTFILTER_GLUE glue_lwip.c glue_esp.c)
endif()
list(TRANSFORM PKTFILTER_GLUE PREPEND ${CMAKE_CURRENT_LIST_DIR}/)

add_library(usermod_pktfilter INTERFACE)
target_sources(usermod_pktfilter INTERFACE
    ${CMAKE_CURRENT_LIST_DIR}/modpktfilter.c
    ${CMAKE_CURRENT_LIST_DIR}/pf.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_arp.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_dhcp.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_fast.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_flow.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_forward.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_frag.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_hash.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_host.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_icmp.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_ip.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_lease.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_map.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_peer.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_rate.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_relay.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_segment.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_tcp.c
    ${CMAKE_CURRENT_LIST_DIR}/pf_uplink.c
    ${PKTFILTER_GLUE}
)
target_include_directories(usermod_pktfilter INTERFACE ${CMAKE_CURRENT_LIST_DIR})
target_link_libraries(usermod INTERFACE usermod_pktfilter)
