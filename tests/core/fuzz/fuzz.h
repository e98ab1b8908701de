/* What fuzz targets share: bytes to choose from, and the entry that libFuzzer calls. */
#ifndef FUZZ_H
#define FUZZ_H

#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
    const uint8_t *p;
    size_t left;
};

/* The next byte; 0 when there is none. */
static inline uint8_t take(struct bytes *b)
{
    if (b->left == 0) {
        return 0;
    }
    b->left--;
    return *b->p++;
}

/* The next so many, at most what is left. */
static inline struct bytes take_all(struct bytes *b, size_t most)
{
    const struct bytes taken = {b->p, most < b->left ? most : b->left};
    b->p += taken.left;
    b->left -= taken.left;
    return taken;
}

/* Changes what is at `to` by what is left: zeros leave it as it is, so that a fuzzer begins with something sound. */
static inline void change(uint8_t *to, size_t room, struct bytes *b)
{
    for (size_t i = 0; i < room && b->left > 0; i++) {
        to[i] ^= take(b);
    }
}

static inline enum who who_of(uint8_t byte)
{
    return (enum who)(byte % WHO_COUNT);
}

#endif
