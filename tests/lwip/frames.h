/* Frames of a history in which everything that the filter does happens at least once. */
#ifndef FRAMES_H
#define FRAMES_H

#include "pf.h"

enum { FRAME_ROOM = 9216 };

struct frame {
    enum pf_port from;
    size_t len;
    uint8_t bytes[FRAME_ROOM];
};

/* The machines' addresses end in these, their MACs, too: 10.66.0.N on the uplink. */
enum { ROUTER = 1, X = 77, PHONE = 100, FLATMATE = 150 };
extern const uint8_t uplink_mac[6], segment_mac[6], speaker_mac[6];
extern const uint8_t x_addr[4], host_addr[4], alias_addr[4], phone_addr[4], server_addr[4];

/* The filter with an uplink, a speaker, and `leases` leased phones, the first of them PHONE with its MAC. */
void frames_configure(struct pf *pf, unsigned leases, uint32_t now_ms);

/* The history: its frames, `count` of them. They come 10 ms after each other. */
const struct frame *frames_history(size_t *count);

/* One of many TCP connections of the phone: the frame that opens it, or the speaker's answer. */
void frames_connection(struct frame *f, unsigned i, bool answer);

/* UDP from the host to a server on the internet, or between any two. `mac`: where it goes. */
void frames_udp(struct frame *f, enum pf_port from, const uint8_t to_mac[6], const uint8_t from_mac[6],
                const uint8_t src[4], unsigned sport, const uint8_t dst[4], unsigned dport, size_t payload);

#endif
