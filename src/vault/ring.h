/*
 * The root keys: what data keys are wrapped with. They come from one source, named by a text:
 *
 *     file:PATH, or PATH   a file that nobody else may read (docs/vault.md says which modes)
 *     credential:PATH      the same, handed over by systemd
 *     variable:NAME        an environment variable, with a warning
 *     command:WORDS        what a program prints; no shell, words are parted by blanks, the first is a path
 *
 * Each has one line a key, "sluice-key-1 " and 64 hexadecimal digits. The first wraps; the others open, too:
 * former ones, and one marked " next" that is to become the first. One thread; not shared.
 */
#ifndef VAULT_RING_H
#define VAULT_RING_H

#include "vault/seal.h"

enum { VAULT_RING_MAX = 8 };

/* What a source names; NULL: it is of another kind, or not known. They point into `source`. */
const char *vault_ring_source_path(const char *source); /* of a file or credential, absolute */
const char *vault_ring_source_variable(const char *source);

struct vault_ring;

/* ERR_NOT_FOUND (a missing file: says `sluice init`), ERR_AUTH (others may read it, not keys, a command that
 * fails or takes too long: what is wrong, never what was read). */
int vault_ring_load(const char *source, struct vault_ring **ret, struct err *err) MUST_CHECK;
/* Reads a file or credential once more, as it may have got another key. Keeps what it has on failure. */
int vault_ring_reload(struct vault_ring *ring, struct err *err) MUST_CHECK;
/* Overwrites the environment variable that is the source, if one is: for a process that needs it no more. */
void vault_ring_wipe_source(const char *source);
void vault_ring_free(struct vault_ring *ring); /* NULL is fine */

const struct vault_key *vault_ring_current(const struct vault_ring *ring);
const struct vault_key *vault_ring_find(const struct vault_ring *ring, const char *id); /* NULL: none */
size_t vault_ring_count(const struct vault_ring *ring);
const char *vault_ring_id(const struct vault_ring *ring, size_t at); /* 0: the current one's */
bool vault_ring_is_next(const struct vault_ring *ring, size_t at);
/* The file that sluice may change; NULL: keys are kept elsewhere. */
const char *vault_ring_file(const struct vault_ring *ring);
/* For people: "the key file /…". */
const char *vault_ring_name(const struct vault_ring *ring);

/* ---- key files ---- */

/* Makes a file with one new random key, of mode 0400, in a directory made with 0700 if missing. ERR_EXISTS
 * leaves what is there alone. */
int vault_key_create(const char *path, struct err *err) MUST_CHECK;
/* Each replaces the file as a whole, or not at all; owner and mode stay.
 * Adds a new key, marked as the next one. ERR_EXISTS: there is one. */
int vault_key_file_add(const char *path, struct err *err) MUST_CHECK;
/* The next one, or else a new one, becomes the first. */
int vault_key_file_promote(const char *path, struct err *err) MUST_CHECK;
/* Removes a key that is neither the first nor the next. */
int vault_key_file_drop(const char *path, const char *id, struct err *err) MUST_CHECK;

#endif
