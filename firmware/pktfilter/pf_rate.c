/* Token buckets. */
#include "pf_core.h"

enum { THOUSANDTHS = 1000, LONGEST_MS = 60000 };

/* May one more pass? `limit`: PF_LIMIT_*; `i`: which one of these. A bucket tells what is taken from it, so that one of zeros is full. */
bool pf_rate(struct pf *pf, unsigned limit, unsigned i)
{
    static const struct {
        uint8_t per_s, burst;
    } rates[] = {
        [PF_LIMIT_EGRESS] = {PF_RATE_EGRESS, PF_BURST_EGRESS},
        [PF_LIMIT_CALLBACK] = {PF_RATE_CALLBACK, PF_BURST_CALLBACK},
        [PF_LIMIT_ECHO] = {PF_RATE_ECHO, PF_BURST_ECHO},
        [PF_LIMIT_ERROR_IN] = {PF_RATE_ICMP_ERROR, PF_BURST_ICMP_ERROR},
        [PF_LIMIT_ERROR_OUT] = {PF_RATE_ICMP_ERROR, PF_BURST_ICMP_ERROR},
        [PF_LIMIT_NOTIFY] = {PF_RATE_NOTIFY, PF_BURST_NOTIFY},
        [PF_LIMIT_RESET] = {PF_RATE_RESET, PF_BURST_RESET},
        [PF_LIMIT_FRAGMENT] = {PF_RATE_FRAGMENT, PF_BURST_FRAGMENT},
        [PF_LIMIT_CLAIMS] = {PF_RATE_CLAIMS, PF_BURST_CLAIMS},
        [PF_LIMIT_CLAIM_LEASE] = {PF_RATE_CLAIM, PF_BURST_CLAIM},
        [PF_LIMIT_SEARCH] = {PF_RATE_SEARCH, PF_BURST_SEARCH},
        [PF_LIMIT_CLAIM] = {PF_RATE_CLAIM, PF_BURST_CLAIM},
    };
    struct pf_bucket *bucket = &pf->bucket[limit + i];
    uint32_t passed = pf->now - bucket->last;
    if (passed > LONGEST_MS) {
        passed = LONGEST_MS;
    }
    bucket->last = pf->now;
    const uint32_t back = passed * rates[limit].per_s;
    bucket->taken = back < bucket->taken ? bucket->taken - back : 0;
    if (bucket->taken + THOUSANDTHS > (uint32_t)rates[limit].burst * THOUSANDTHS) {
        return false;
    }
    bucket->taken += THOUSANDTHS;
    return true;
}
