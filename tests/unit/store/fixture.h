/*
 * What the store's tests share: a store of its own for each test, in virtual time, and short ways to make
 * jobs. The same tests run on both engines: on Postgres if $STORE_TEST_URL says where (postgres.h), else on
 * SQLite in a folder.
 */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "base/attr.h"
#include "store/internal.h"
#include "unit.h"

#define LEASE_MS 45000

struct postgres;

struct fixture {
    char dir[64];
    char path[96]; /* SQLite's file */
    char url[512];
    struct postgres *postgres; /* NULL: SQLite */
    struct store *store;
    bool is_bound;  /* the store's login reaches the tenants it is admitted to, and no others */
    int64_t now_ms; /* what the store believes */
    struct err err;
    struct {
        struct job_id id;
        int64_t epoch;
        char worker[NAME_SIZE];
    } claims[64]; /* the last ones */
    uint32_t claim_count;
};

/* cmocka setup and teardown: *state is a struct fixture with an open, empty store. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_reopen(struct fixture *fix); /* as after a crash: nothing is kept in memory */
/* A second handle on the same store, on the same clock. */
struct store *fixture_open_another(struct fixture *fix);
/* For a handle that a test has opened itself. */
void fixture_set_clock(struct fixture *fix, struct store *store);

/* A client of the tenant (made once a tenant) and a channel that is logged in. */
int64_t make_channel(struct fixture *fix, const char *tenant, const char *name);
/* Channels are made with a window that is wide open: most tests are about something else. */
void set_window(struct fixture *fix, int64_t channel, struct window window);
/* Where the store's login is bound to its tenants, to this one. */
void admit(struct fixture *fix, const char *tenant);
int64_t make_client(struct fixture *fix, const char *tenant);
int login(struct fixture *fix, const char *tenant, const char *name, const char *yt_channel_id);

/* A job whose id is `id` (padded to full length), 1000 bytes, its own key; `change` may set more. */
struct store_job_new new_job(int64_t channel, const char *id);
struct job_id add_job(struct fixture *fix, int64_t channel, const char *id);
struct job_id add(struct fixture *fix, const struct store_job_new *job);
/* As many, in one transaction; ids are `prefix` and a number. */
void add_many(struct fixture *fix, int64_t channel, const char *prefix, int count);
struct job_id job_id(const char *id);

/* Claims one job as `worker`; its id is "" if there was none. The work is released. */
struct job_claim claim_one(struct fixture *fix, const char *worker);
/* Claims up to `max`, from anywhere; returns how many. */
uint32_t claim_many(struct fixture *fix, const char *worker, uint32_t max, struct job_claim *ret);
uint32_t claim_reach(struct fixture *fix, const char *worker, const struct store_reach *reach, uint32_t max,
                     struct job_claim *ret);

/* A write under the claim's lease. */
struct job_write write_of(const struct job_claim *claim);
struct job_write move_of(const struct job_claim *claim, enum job_state state, enum job_cause cause);
enum write_result do_store_write(struct fixture *fix, const struct job_write *write);
/* Who claimed it; "w1" if nobody did. do_store_write() writes in that name. */
const char *lessee(const struct fixture *fix, struct job_id id, int64_t epoch);
/* Asserts that it is WRITE_OK. */
void must_write(struct fixture *fix, const struct job_write *write);
/* Brings a claimed job to a state, through finishing where it must. */
void move_to(struct fixture *fix, const struct job_claim *claim, enum job_state state, enum job_cause cause);

/* The row as people see it; texts are released already. */
struct store_job get_job(struct fixture *fix, struct job_id id);
enum job_state state_of(struct fixture *fix, struct job_id id);
enum job_cause cause_of(struct fixture *fix, struct job_id id);
struct store_channel get_channel(struct fixture *fix, int64_t channel);
void set_channel(struct fixture *fix, int64_t channel, enum channel_state state, int64_t until_ms);
/* Lines of the audit trail with this `what`; job NULL: all. */
uint32_t count_events(struct fixture *fix, const char *job, const char *what);
/* As a broker does that asks channels.list, on day 5. */
int charge_units(struct store *store, int64_t client, int64_t channel, uint32_t units, struct err *err);
struct store_event last_event(struct fixture *fix, const char *job);
struct alarms {
    uint32_t count;
    struct store_alarm last;
};
struct alarms alarms_of(struct fixture *fix, bool all); /* `all`: closed ones too */
/* Straight at the tables, past the store: one number, or statements; run_sql returns 0 or not, and the
 * message without what only one engine puts before it. */
int64_t number(struct fixture *fix, const char *sql);
int run_sql(struct fixture *fix, const char *sql, char message[256]);

#define assert_ok(expression, fix)                                                                           \
    do {                                                                                                     \
        int assert_rc = (expression);                                                                        \
        if (assert_rc != 0)                                                                                  \
            fail_msg("%s: %s: %s", #expression, err_name(assert_rc), (fix)->err.message);                    \
    } while (0)
#define assert_code(expression, code)                                                                        \
    do {                                                                                                     \
        int assert_rc = (expression);                                                                        \
        if (assert_rc != (code))                                                                             \
            fail_msg("%s: %s instead of %s", #expression, err_name(assert_rc), err_name(code));              \
    } while (0)

#endif
