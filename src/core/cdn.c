/*
 * The CDN's copy of the file: asked for its size before a session is opened. A CDN that cannot be reached is
 * waited for; one that answers with another size, or that it has no such file, holds the job for a person.
 */
#include <stdio.h>

#include "core/slot.h"

static void hold(struct slot *slot, const char *reason, const char *message, int status)
{
    struct audit_note note = note_make("held", reason, message);
    note.http_status = status;
    settle_hold_until(slot, CAUSE_CDN_MISMATCH, 0, &note);
}

static void compare(struct slot *slot, const struct reply *reply)
{
    char message[MESSAGE_SIZE];
    if (!reply->has_content_bytes) {
        hold(slot, "cdnSizeUnknown", "the CDN does not tell the size of its copy", reply->status);
    } else if (reply->content_bytes != slot->job.size_bytes) {
        snprintf(message, sizeof(message), "the CDN's copy has %llu bytes, the file has %llu",
                 (unsigned long long)reply->content_bytes, (unsigned long long)slot->job.size_bytes);
        hold(slot, "cdnSizeDiffers", message, reply->status);
    } else {
        slot->cdn_checked = true;
    }
}

static bool may_pass(const struct reply *reply)
{
    return reply->transport != TRANSPORT_OK || reply->status >= 500 || reply->status == 408 ||
           reply->status == 425 || reply->status == 429;
}

void cdn_on_reply(struct engine *engine, struct slot *slot, const struct reply *reply)
{
    char message[MESSAGE_SIZE];
    if (reply->transport == TRANSPORT_ABORTED)
        return; /* whoever asked for it has set what follows */
    if (reply->cdn_url_refused) {
        hold(slot, "cdnUrlRefused", reply->message, 0);
    } else if (may_pass(reply)) {
        struct audit_note note = note_of_reply("CDN unreachable", reply);
        retry_without_blame(engine, slot, &note, reply->retry_after_ms);
    } else if (reply->status == 200 || reply->status == 206) {
        compare(slot, reply);
    } else {
        snprintf(message, sizeof(message), "the CDN answered %d to the question for its copy%s",
                 reply->status, reply->status / 100 == 3 ? "; redirects are not followed" : "");
        hold(slot, "cdnRefused", message, reply->status);
    }
}
