/* ports/esp32/modsocket.c includes it; this board asks no mDNS responder. */
