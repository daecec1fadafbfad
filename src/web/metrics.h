/*
 * A worker's metrics in Prometheus' text format 0.0.4: one row a metric (name, type, labels, help), from
 * which the reply and docs/metrics.md are made. Names, types and labels are an interface: dashboards and
 * alerts rest on them.
 */
#ifndef WEB_METRICS_H
#define WEB_METRICS_H

#include "base/buf.h"
#include "worker/board.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
const char *metric_type_text(enum metric_type type);

struct sample; /* of metrics.c */

struct metric {
    const char *name; /* begins with "sluice_" */
    enum metric_type type;
    const char *labels; /* names parted by blanks; "" : none */
    const char *help;   /* one line */
    /* Where its value is: in the view, or written by a function. */
    uint16_t offset; /* of a uint64_t of struct view */
    void (*write)(const struct sample *sample, const struct view *view);
};
extern const struct metric metrics[];
extern const uint32_t metric_count;

enum { METRICS_BYTES_MAX = 8388608, QUEUE_STALE_MS = 600000 };
/* `ret` overflows rather than tell half. */
void metrics_write(struct buf *ret, const struct view *view, int64_t now_mono_ms);

#endif
