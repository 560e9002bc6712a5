/* log.h - one line an event, key=value, to standard error.
 *
 *     level=info msg="synced" services=812 endpoints=9304 ms=4
 *
 * Values that come from outside are quoted and escaped: no control byte, no terminal escape, no
 * bidirectional control, no invalid UTF-8 leaves this function as it came (robustness row S4).
 */
#ifndef KUBE_NFT_BASE_LOG_H
#define KUBE_NFT_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum { LOG_MAX_FIELDS = 23 };

struct log_field {
	const char *key;  /* NULL ends a list of fields */
	const char *text; /* NULL: the field is @number */
	int64_t number;
};

static inline struct log_field log_text(const char *key, const char *text)
{
	return (struct log_field){ .key = key, .text = text ? text : "" };
}

#define log_number(k, v) ((struct log_field){ .key = (k), .number = (int64_t)(v) })

/* Records above @level are dropped. Default: LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Write one record to descriptor 2 with one write(2). @fields ends with a field whose key is NULL, or
 * with the LOG_MAX_FIELDS-th. */
void log_write(enum log_level level, const char *message, const struct log_field *fields);

/* What is not given is zero, and so ends the list. */
#define log_fields(...) ((const struct log_field[LOG_MAX_FIELDS + 1]){ __VA_ARGS__ })
#define log_error(message, ...) log_write(LOG_LEVEL_ERROR, message, log_fields(__VA_ARGS__))
#define log_warn(message, ...) log_write(LOG_LEVEL_WARN, message, log_fields(__VA_ARGS__))
#define log_info(message, ...) log_write(LOG_LEVEL_INFO, message, log_fields(__VA_ARGS__))
#define log_debug(message, ...) log_write(LOG_LEVEL_DEBUG, message, log_fields(__VA_ARGS__))

#endif
