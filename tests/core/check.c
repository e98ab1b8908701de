/* For tests: is the flow table consistent? */
#include "check.h"

#include "pf_core.h"

#define COUNTER_NAME(name) #name,
const char *const pf_counter_names[PF_COUNTER_COUNT] = {PF_COUNTERS(COUNTER_NAME)};
#undef COUNTER_NAME

/* Are the two indexes, the classes, the mappings and the counts of the flow table true of the flows? 0: yes, else a line number. */
int pf_check(const struct pf *pf)
{
    unsigned in_class[PF_CLASS_COUNT] = {0};
    unsigned live = 0;
    unsigned mapped = 0;
    for (unsigned i = 0; i < PF_FLOWS; i++) {
        const unsigned class = pf->flow[i].kind >> PF_KIND_CLASS_SHIFT;
        in_class[class]++;
        live += class != PF_CLASS_FREE;
    }
    for (unsigned c = 0; c < PF_CLASS_COUNT; c++) {
        unsigned n = 0;
        unsigned before = PF_FLOWS + c;
        for (unsigned i = pf->ring[before].next; i < PF_FLOWS; before = i, i = pf->ring[i].next, n++) {
            if (n > PF_FLOWS || pf->ring[i].prev != before || pf->flow[i].kind >> PF_KIND_CLASS_SHIFT != c) {
                return __LINE__;
            }
        }
        if (pf->ring[before].next != PF_FLOWS + c || pf->ring[PF_FLOWS + c].prev != before) {
            return __LINE__;
        }
        if (n != in_class[c] || n != pf->class_count[c]) {
            return __LINE__;
        }
    }
    unsigned ext = 0;
    unsigned loc = 0;
    for (unsigned b = 0; b < PF_BUCKETS; b++) {
        unsigned n = 0;
        for (unsigned i = pf->flow_head[0][b]; i != 0; i = pf->flow[i - 1].next[0], n++, ext++) {
            if (n >= PF_CHAIN_MAX || pf->flow[i - 1].kind >> PF_KIND_CLASS_SHIFT == PF_CLASS_FREE) {
                return __LINE__;
            }
        }
        n = 0;
        for (unsigned i = pf->flow_head[1][b]; i != 0; i = pf->flow[i - 1].next[1], n++, loc++) {
            if (n >= PF_CHAIN_MAX || pf->flow[i - 1].kind >> PF_KIND_CLASS_SHIFT == PF_CLASS_FREE) {
                return __LINE__;
            }
        }
    }
    if (ext != live || loc != live) {
        return __LINE__;
    }
    for (unsigned b = 0; b < PF_MAP_BUCKETS; b++) {
        for (unsigned i = pf->map_head[1][b]; i != 0; i = pf->map[i - 1].next[1]) {
            mapped += pf->map[i - 1].flows;
        }
        for (unsigned i = pf->map_head[0][b]; i != 0; i = pf->map[i - 1].next[0]) {
            mapped += pf->map[i - 1].flows;
        }
    }
    return mapped == 2 * live ? 0 : __LINE__;
}
