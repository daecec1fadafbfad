/*
 * Logins under way in the broker: what the ways to one share. A code from a browser and the token service are
 * in broker_login.c, a code entered on another device in broker_login_device.c, another program's file in
 * broker_login_file.c. For src/vault alone; the broker's one thread.
 */
#ifndef VAULT_BROKER_LOGIN_H
#define VAULT_BROKER_LOGIN_H

#include "vault/child.h"

enum { LOGIN_FORM_MAX = 32768 };

struct login;
/* What a refusal of the token endpoint means for this login: sets `err`, returns its code. */
typedef int login_refused(const struct login *login, const struct yt_token_reply *reply, struct err *err);

struct login {
    struct child *child;
    uint64_t id;
    struct store_client client;
    struct store_channel known; /* id 0: a new name */
    char name[NAME_SIZE];
    char expect[YT_CHANNEL_SIZE];
    char scopes[512];
    struct secret refresh; /* none: the token service keeps the login */
    struct secret access;
    bool is_fresh; /* of the token service */
    login_refused *refused;
};

/* Fills in all but the tokens, from the first four fields of the message, which all ways to a login have. A
 * client id of 0 leaves the client to the caller. */
struct login *login_new(struct child *child, const struct message *ask);
int login_prepare(struct login *login, const struct message *ask, struct err *err) MUST_CHECK;
/* Answers the question `login->id` with the error, if there is one, and frees. */
void login_end(struct login *login, const struct err *err);

/* Posts the form to the client's token endpoint, and wipes it. A good reply is taken as by login_take(); any
 * other ends the login. Where it returns an error, nothing was started. */
int login_post(struct login *login, struct buf *form, login_refused *refused, struct err *err) MUST_CHECK;
/* A good reply of the token endpoint: takes its tokens, asks whose channel they are for, stores the login and
 * ends it. Where it returns an error, nothing was started. */
int login_take(struct login *login, const struct yt_token_reply *reply, struct err *err) MUST_CHECK;

#endif
