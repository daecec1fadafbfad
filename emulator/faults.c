#include "faults.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "json.h"
#include "request.h"

static void fault_drop(struct fault *fault)
{
    if (!fault || --fault->references > 0)
        return;
    json_decref(fault->spec);
    mem_free(fault->text);
    mem_free(fault);
}

/* Whether the numbers that say when are numbers. */
static int read_when(struct fault *fault, struct err *err)
{
    static const char *const counts[] = {"nth", "every", "times"};
    uint64_t *places[] = {&fault->nth, &fault->every, &fault->times};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        if (json_object_get(fault->spec, counts[i]) && !json_count_at(fault->spec, counts[i], places[i]))
            return err_set(err, ERR_INVALID, "\"%s\" is not a whole number", counts[i]);
    const json_t *probability = json_object_get(fault->spec, "probability");
    if (probability && !json_is_number(probability))
        return err_set(err, ERR_INVALID, "\"probability\" is not a number");
    fault->probability = probability ? json_number_value(probability) : 0;
    /* Counted faults fire once unless told otherwise, repeating ones for ever. */
    if (!json_object_get(fault->spec, "times"))
        fault->times = fault->every || probability ? 0 : 1;
    return 0;
}

static int fault_make(json_t *spec, struct fault **ret, struct err *err)
{
    if (!json_text_at(spec, "on") || !json_text_at(spec, "do"))
        return err_set(err, ERR_INVALID, "a fault needs the texts \"on\" and \"do\"");
    struct fault *fault = mem_alloc(sizeof *fault);
    fault->references = 1;
    fault->spec = json_incref(spec);
    fault->text = mem_dup(json_text_at(spec, "do"));
    int rc = read_when(fault, err);
    if (rc == 0 && !fault_word_match(fault->text, &fault->word, &fault->args))
        rc = err_set(err, ERR_INVALID, "unknown fault \"%.100s\"", fault->text);
    if (rc == 0)
        *ret = fault;
    else
        fault_drop(fault);
    return rc;
}

static void drop_from(struct faults *faults, size_t count)
{
    while (faults->count > count)
        fault_drop(faults->list[--faults->count]);
}

int faults_add(struct faults *faults, const json_t *list, struct err *err)
{
    size_t count_before = faults->count;
    size_t i;
    json_t *spec;
    if (!json_is_array(list))
        return err_set(err, ERR_INVALID, "faults come as a list");
    json_array_foreach(list, i, spec)
    {
        struct fault *fault = NULL;
        int rc = fault_make(spec, &fault, err);
        if (rc != 0) {
            drop_from(faults, count_before);
            return rc;
        }
        faults->list = mem_grow(faults->list, faults->count + 1, sizeof(struct fault *));
        faults->list[faults->count++] = fault;
    }
    return 0;
}

void faults_clear(struct faults *faults)
{
    drop_from(faults, 0);
    mem_free(faults->list);
    *faults = (struct faults){NULL, 0};
}

json_t *faults_describe(const struct faults *faults)
{
    json_t *list = json_array();
    for (size_t i = 0; i < faults->count; i++) {
        const struct fault *fault = faults->list[i];
        json_t *line = json_copy(fault->spec);
        json_object_set_new(line, "seen", json_integer((json_int_t)fault->seen));
        json_object_set_new(line, "consumed", json_integer((json_int_t)fault->consumed));
        json_array_append_new(list, line);
    }
    return list;
}

/* "put" means every PUT with bytes, the last one too; "any" means all but the control API. */
static bool is_meant_for_op(const char *on, const struct op *op)
{
    if (op->style == OP_CONTROL)
        return false;
    return strcmp(on, "any") == 0 || strcmp(on, op->name) == 0 ||
           (strcmp(on, "put") == 0 && strcmp(op->name, "put-final") == 0);
}

static bool is_meant_for(const struct fault *fault, const struct request *request)
{
    const char *channel = json_text_at(fault->spec, "channel");
    const char *session = json_text_at(fault->spec, "session");
    const struct channel *of_request = request->caller.channel;
    if (!is_meant_for_op(json_text_at(fault->spec, "on"), request->op))
        return false;
    if (fault->word->only && strcmp(fault->word->only, request->op->name) != 0)
        return false;
    if (channel &&
        (!of_request || (strcmp(channel, of_request->id) != 0 && strcmp(channel, of_request->title) != 0)))
        return false;
    return !session || (request->session && strcmp(session, request->session->digest) == 0);
}

/* Counts the request and says whether it is one of those to hit. */
static bool is_due(struct fault *fault, struct dice *dice)
{
    fault->seen++;
    if (fault->times && fault->claimed >= fault->times)
        return false;
    if (fault->nth)
        return fault->seen >= fault->nth;
    if (fault->every)
        return fault->seen % fault->every == 0;
    if (json_object_get(fault->spec, "probability"))
        return dice_fraction(dice) < fault->probability;
    return true;
}

static void plan_with(struct fault_plan *plan, struct fault *fault)
{
    const struct fault_word *word = fault->word;
    uint64_t bytes = word->bytes_fixed ? word->bytes_fixed : fault->args.bytes;
    fault->references++;
    fault->claimed++;
    plan->fault = fault;
    plan->stage = word->stage;
    plan->at_byte = word->stage == FAULT_AT_BYTE ? bytes : UINT64_MAX;
    if (word->stage == FAULT_ON_BODY)
        plan->keep_bytes = bytes;
    json_count_at(fault->spec, "keep", &plan->keep_bytes);
}

void faults_plan(struct faults *faults, struct dice *dice, const struct request *request,
                 struct fault_plan *ret)
{
    for (size_t i = 0; i < faults->count; i++)
        if (is_meant_for(faults->list[i], request) && is_due(faults->list[i], dice) && !ret->fault)
            plan_with(ret, faults->list[i]);
}

void fault_plan_init(struct fault_plan *plan)
{
    *plan = (struct fault_plan){.at_byte = UINT64_MAX, .keep_bytes = UINT64_MAX};
}

void fault_plan_release(struct fault_plan *plan)
{
    if (plan->fault && !plan->is_consumed)
        plan->fault->claimed--; /* the body was too short for it: it waits for another request */
    fault_drop(plan->fault);
    fault_plan_init(plan);
}

void fault_plan_consume(struct fault_plan *plan)
{
    if (plan->fault && !plan->is_consumed)
        plan->fault->consumed++;
    plan->is_consumed = true;
}
