#include "core/budget.h"

enum { TOKEN = 1000, PER_REQUEST = TOKEN / 10, PER_MS = TOKEN / 1000 };

void budget_init(struct budget *budget, int64_t now_mono_ms)
{
    *budget = (struct budget){.millitokens = BUDGET_CAP * TOKEN, .counted_mono_ms = now_mono_ms};
}

static void add(struct budget *budget, int64_t millitokens)
{
    budget->millitokens += millitokens;
    if (budget->millitokens > BUDGET_CAP * TOKEN)
        budget->millitokens = BUDGET_CAP * TOKEN;
}

void budget_request(struct budget *budget)
{
    add(budget, PER_REQUEST);
}

int64_t budget_retry(struct budget *budget, int64_t now_mono_ms)
{
    if (now_mono_ms > budget->counted_mono_ms) {
        int64_t elapsed_ms = now_mono_ms - budget->counted_mono_ms;
        int64_t enough_ms = 2 * BUDGET_CAP * TOKEN - budget->millitokens;
        add(budget, (elapsed_ms < enough_ms ? elapsed_ms : enough_ms) * PER_MS);
        budget->counted_mono_ms = now_mono_ms;
    }
    budget->millitokens -= TOKEN;
    return budget->millitokens >= 0 ? now_mono_ms : now_mono_ms - budget->millitokens / PER_MS;
}
