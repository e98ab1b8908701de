/* For tests: is the flow table consistent? */
#include "check.h"

#include "pf_core.h"

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
        for (unsigned c = 0; c < PF_CLASS_COUNT; c++) {
            if (((pf->class_bits[c][i / 32] >> i % 32 & 1) != 0) != (c == class)) {
                return __LINE__;
            }
        }
    }
    for (unsigned c = 0; c < PF_CLASS_COUNT; c++) {
        if (in_class[c] != pf->class_count[c]) {
            return __LINE__;
        }
    }
    unsigned ext = 0;
    unsigned loc = 0;
    for (unsigned b = 0; b < PF_BUCKETS; b++) {
        unsigned n = 0;
        for (unsigned i = pf->ext_head[b]; i != 0; i = pf->flow[i - 1].next_ext, n++, ext++) {
            if (n >= PF_CHAIN_MAX || pf->flow[i - 1].kind >> PF_KIND_CLASS_SHIFT == PF_CLASS_FREE) {
                return __LINE__;
            }
        }
        n = 0;
        for (unsigned i = pf->loc_head[b]; i != 0; i = pf->flow[i - 1].next_loc, n++, loc++) {
            if (n >= PF_CHAIN_MAX || pf->flow[i - 1].kind >> PF_KIND_CLASS_SHIFT == PF_CLASS_FREE) {
                return __LINE__;
            }
        }
    }
    if (ext != live || loc != live) {
        return __LINE__;
    }
    for (unsigned b = 0; b < PF_MAP_BUCKETS; b++) {
        for (unsigned i = pf->map_loc_head[b]; i != 0; i = pf->map[i - 1].next_loc) {
            mapped += pf->map[i - 1].flows;
        }
        for (unsigned i = pf->map_ext_head[b]; i != 0; i = pf->map[i - 1].next_ext) {
            mapped += pf->map[i - 1].flows;
        }
    }
    return mapped == 2 * live ? 0 : __LINE__;
}
