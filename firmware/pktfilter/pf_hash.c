/*
 * Keys and random numbers: a counter, enciphered by Chaskey's permutation with 12 rounds between two additions of the key
 * (Mouha and others: "Chaskey: an efficient MAC algorithm for 32-bit microcontrollers"; 12 rounds: ISO/IEC 29192-6). The
 * key is that given at boot. Eight numbers a block.
 *
 * The flow table's hash itself (pf_hash_flow() in pf_core.h) is keyed with five pairs of these numbers.
 */
#include "pf_core.h"

enum { ROUNDS = 12 };

static uint32_t rotl(uint32_t v, unsigned n)
{
    return v << n | v >> (32 - n);
}

static void next_block(struct pf *pf)
{
    const uint32_t *k = pf->random_key;
    uint32_t v0 = k[0] ^ pf->random_count++;
    uint32_t v1 = k[1];
    uint32_t v2 = k[2];
    uint32_t v3 = k[3];
    for (unsigned i = 0; i < ROUNDS; i++) {
        v0 += v1;
        v1 = rotl(v1, 5) ^ v0;
        v2 += v3;
        v3 = rotl(v3, 8) ^ v2;
        v0 = rotl(v0, 16) + v3;
        v3 = rotl(v3, 13) ^ v0;
        v2 += v1;
        v1 = rotl(v1, 7) ^ v2;
        v2 = rotl(v2, 16);
    }
    pf->random[0] = v0 ^ k[0];
    pf->random[1] = v1 ^ k[1];
    pf->random[2] = v2 ^ k[2];
    pf->random[3] = v3 ^ k[3];
    pf->random_left = 8;
}

uint16_t pf_random(struct pf *pf)
{
    if (pf->random_left == 0) {
        next_block(pf);
    }
    pf->random_left--;
    return rd16((const uint8_t *)pf->random + 2 * (size_t)pf->random_left);
}

bool pf_is_stuck(const uint8_t *bytes, size_t len)
{
    return len >= PF_STUCK_LEAST && memcmp(bytes, bytes + 1, len - 1) == 0;
}

void pf_hash_init(struct pf *pf, const uint8_t key[16])
{
    memcpy(pf->random_key, key, sizeof(pf->random_key));
    for (unsigned i = 0; i < 5; i++) {
        const uint32_t high = pf_random(pf);
        pf->hash_key[i] = high << 16 | pf_random(pf);
    }
}
