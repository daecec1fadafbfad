/*
 * Scripted faults: what tests post to /_ctl/faults. A fault waits for its request, changes what happens to
 * that one, and counts how often it was consumed, so that a test can tell that it really ran. Words:
 * faults_words.c, explained in README.md. Used under the state's lock.
 */
#ifndef EMULATOR_FAULTS_H
#define EMULATOR_FAULTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "dice.h"

struct request;
struct fault;

enum fault_stage {
    FAULT_NONE,
    FAULT_INSTEAD, /* the body is read and dropped, the request is not carried out, the reply is the fault's
                    */
    FAULT_AT_BYTE, /* when so many bytes of the body were taken; 0: before the body is read */
    FAULT_ON_BODY, /* while the body is stored: keeps less of it */
    FAULT_ON_REPLY /* the request is carried out, the reply is changed */
};

/* What was written in the places of a word: %N number, %K and %B bytes, %T seconds, %S text. */
struct fault_args {
    uint64_t number;
    uint64_t bytes;
    uint64_t seconds;
    const char *text; /* inside the word */
};

/* Carries the fault out: fills in or changes the request's reply. */
typedef void fault_act(struct request *request, const struct fault *fault);

struct fault_word {
    const char *pattern;
    enum fault_stage stage;
    fault_act *act;       /* may be NULL */
    const char *only;     /* the one operation where it makes sense, or NULL */
    uint64_t bytes_fixed; /* for a word that names its bytes without digits */
    bool holds_final;     /* everything is stored, and yet the upload is not completed */
};

struct fault {
    unsigned references;
    char *text; /* the word as posted */
    const struct fault_word *word;
    struct fault_args args;
    json_t *spec; /* the whole object as posted; words look up their options there */
    uint64_t nth;
    uint64_t every;
    uint64_t times; /* how often it may fire; 0: no limit */
    double probability;
    uint64_t seen;     /* requests that it was meant for */
    uint64_t claimed;  /* requests that it chose */
    uint64_t consumed; /* requests that it changed */
};

struct faults {
    struct fault **list;
    size_t count;
};

/* What a fault wants of one request. */
struct fault_plan {
    struct fault *fault; /* a reference; NULL: nothing */
    enum fault_stage stage;
    uint64_t at_byte;
    uint64_t keep_bytes; /* at most so many bytes of this body are stored */
    bool is_consumed;
};

/* Adds the faults of a JSON list. All or none: ERR_INVALID names the first that is wrong. */
int MUST_CHECK faults_add(struct faults *faults, const json_t *list, struct err *err);
void faults_clear(struct faults *faults);
json_t *faults_describe(const struct faults *faults);
/* Chooses the first fault that is meant for this request and due. */
void faults_plan(struct faults *faults, struct dice *dice, const struct request *request,
                 struct fault_plan *ret);
void fault_plan_init(struct fault_plan *plan);
void fault_plan_release(struct fault_plan *plan);
void fault_plan_consume(struct fault_plan *plan);

/* faults_words.c: finds the word that `text` is made after; false if there is none. */
bool fault_word_match(const char *text, const struct fault_word **ret_word, struct fault_args *ret_args);

#endif
