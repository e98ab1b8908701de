#ifndef CHECK_H
#define CHECK_H

#include "pf.h"

extern const char *const pf_counter_names[PF_COUNTER_COUNT];

/* 0: the indexes, classes, mappings and counts agree with the flows; else the line in check.c that found they do not. */
int pf_check(const struct pf *pf);

#endif
