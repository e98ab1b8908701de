/* Token buckets. */
#include "pf_core.h"

enum { THOUSANDTHS = 1000, LONGEST_MS = 60000 };

bool pf_rate(struct pf_bucket *bucket, uint32_t per_s, uint32_t burst, uint32_t now_ms)
{
    uint32_t passed = now_ms - bucket->last;
    if (passed > LONGEST_MS) {
        passed = LONGEST_MS;
    }
    bucket->last = now_ms;
    bucket->level += passed * per_s;
    if (bucket->level > burst * THOUSANDTHS) {
        bucket->level = burst * THOUSANDTHS;
    }
    if (bucket->level < THOUSANDTHS) {
        return false;
    }
    bucket->level -= THOUSANDTHS;
    return true;
}

static void fill(struct pf *pf, struct pf_bucket *bucket, uint32_t burst)
{
    bucket->last = pf->now;
    bucket->level = burst * THOUSANDTHS;
}

void pf_rates_init(struct pf *pf)
{
    fill(pf, &pf->egress, PF_BURST_EGRESS);
    fill(pf, &pf->callback, PF_BURST_CALLBACK);
    fill(pf, &pf->echo, PF_BURST_ECHO);
    fill(pf, &pf->icmp_error[0], PF_BURST_ICMP_ERROR);
    fill(pf, &pf->icmp_error[1], PF_BURST_ICMP_ERROR);
    fill(pf, &pf->notify, PF_BURST_NOTIFY);
    fill(pf, &pf->reset, PF_BURST_RESET);
    fill(pf, &pf->fragment, PF_BURST_FRAGMENT);
    for (unsigned i = 0; i < PF_CLAIM_BUCKETS; i++) {
        fill(pf, &pf->claim[i], PF_BURST_CLAIM);
    }
}
