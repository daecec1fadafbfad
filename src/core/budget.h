/*
 * A retry budget: retries may be at most a tenth of the requests, plus one a second (docs/faults.md section
 * 3; the Google SRE book's rule for clients, with Finagle's floor). Contract: over any span of s seconds,
 * retries <= requests/10 + s + BUDGET_CAP.
 *
 * A token is a permission for one retry, counted in thousandths. Pure: the time comes with the call and may
 * stand still, jump forward, or go back (then nothing accrues).
 */
#ifndef CORE_BUDGET_H
#define CORE_BUDGET_H

#include <stdint.h>

enum { BUDGET_CAP = 10 };

struct budget {
    int64_t millitokens;     /* may be negative: permissions taken in advance */
    int64_t counted_mono_ms; /* up to where the floor was added */
};

void budget_init(struct budget *budget, int64_t now_mono_ms);
/* A request that is not a retry. */
void budget_request(struct budget *budget);
/* Takes the permission for one retry and returns from when on it may be used: now, or later where the budget
 * is spent. */
int64_t budget_retry(struct budget *budget, int64_t now_mono_ms);

#endif
