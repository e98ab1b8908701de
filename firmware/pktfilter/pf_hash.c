/*
 * Keys and random numbers: SipHash-2-4 (Aumasson, Bernstein) of a counter under the key given at boot.
 *
 * The flow table's hash itself (pf_hash_flow() in pf_core.h) is keyed with five of these numbers.
 */
#include "pf_core.h"

static uint64_t rotl(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

static void round1(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

/* SipHash-2-4 of one 8-byte message. */
static uint64_t siphash8(const uint64_t key[2], uint64_t message)
{
    const uint64_t length = (uint64_t)8 << 56;
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575U, key[1] ^ 0x646f72616e646f6dU, key[0] ^ 0x6c7967656e657261U,
                     key[1] ^ 0x7465646279746573U};
    v[3] ^= message;
    round1(v);
    round1(v);
    v[0] ^= message;
    v[3] ^= length;
    round1(v);
    round1(v);
    v[0] ^= length;
    v[2] ^= 0xff;
    for (unsigned i = 0; i < 4; i++) {
        round1(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint32_t pf_random(struct pf *pf)
{
    return (uint32_t)siphash8(pf->random_key, pf->random_count++);
}

void pf_hash_init(struct pf *pf, const uint8_t key[16])
{
    for (unsigned i = 0; i < 2; i++) {
        pf->random_key[i] = 0;
        for (unsigned j = 8; j-- > 0;) {
            pf->random_key[i] = pf->random_key[i] << 8 | key[8 * i + j];
        }
    }
    for (unsigned i = 0; i < 5; i++) {
        pf->hash_key[i] = pf_random(pf);
    }
}
