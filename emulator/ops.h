/* The operations, each defined in the file of its subject. */
#ifndef EMULATOR_OPS_H
#define EMULATOR_OPS_H

#include "request.h"

/* resumable.c, insert.c */
extern const struct op op_start;
extern const struct op op_put;
extern const struct op op_put_final;
extern const struct op op_query;
extern const struct op op_cancel;
extern const struct op op_insert;
extern const struct op op_bad_upload;
/* Which of put, put-final, query and cancel a request on a session is; finds the session. */
const struct op *resumable_op(struct request *request);

/* lists.c */
extern const struct op op_videos_list;
extern const struct op op_channels_list;
extern const struct op op_playlist_items_list;
extern const struct op op_playlists_list;
extern const struct op op_video_categories_list;

/* extras.c */
extern const struct op op_videos_delete;
extern const struct op op_thumbnails_set;
extern const struct op op_captions_insert;
extern const struct op op_playlists_insert;
extern const struct op op_playlist_items_insert;

/* oauth.c, oauth_token.c, device.c */
extern const struct op op_auth;
extern const struct op op_auth_approve;
extern const struct op op_token;
extern const struct op op_revoke;
extern const struct op op_device_code;
extern const struct op op_device_page;
extern const struct op op_device_approve;

/* ctl.c */
extern const struct op op_control;

#endif
