/* Alarms as people and programs see them, also in `status`. Main thread. */
#ifndef CLI_ALARM_H
#define CLI_ALARM_H

#include "cli/output.h"
#include "store/store.h"

json_t *alarm_json(const struct store_alarm *alarm);
void alarm_table_init(struct table *table);
void alarm_row(struct table *table, const struct store_alarm *alarm);

#endif
