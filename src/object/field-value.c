/* field-value.c - the readers of what networks are made of, and of time. */
#include "object/field.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PORT_LAST = 65535 };

static uint16_t port_read(struct field f, json_int_t first)
{
	json_int_t number;

	if (!field_is(f, JSON_INTEGER))
		return 0;

	number = json_integer_value(f.value);
	if (number < first || number > PORT_LAST) {
		field_refuse(f, -EINVAL, "%lld is not a port (1 to %d)", (long long)number,
			     PORT_LAST);
		return 0;
	}
	return (uint16_t)number;
}

uint16_t field_port(struct field f)
{
	return field_require(f) ? port_read(f, 1) : 0;
}

uint16_t field_optional_port(struct field f)
{
	return port_read(f, 0);
}

enum protocol field_protocol(struct field f)
{
	static const enum protocol protocols[] = { PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP };
	const char *text = field_text(f);

	if (!text || !*text)
		return PROTOCOL_TCP;
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (strcmp(text, protocol_name(protocols[i])) == 0)
			return protocols[i];

	field_refuse(f, -EINVAL, "\"%.64s\" is not a protocol (TCP, UDP or SCTP)", text);
	return PROTOCOL_TCP;
}

struct addr field_addr(struct field f)
{
	const char *text = field_text(f);
	struct addr addr = { 0 };

	if (text && *text && addr_parse(text, &addr) < 0)
		field_refuse(f, -EINVAL, "\"%.64s\" is not an IP address", text);
	return addr;
}

/* The API server takes source ranges with blanks around them, so they do no harm anywhere. */
static int prefix_parse_trimmed(const char *text, struct prefix *ret)
{
	static const char blanks[] = " \t\r\n";
	char trimmed[PREFIX_TEXT_MAX];
	size_t len;

	text += strspn(text, blanks);
	len = strcspn(text, blanks);
	if (len >= sizeof(trimmed) || text[len + strspn(text + len, blanks)] != '\0')
		return -EINVAL;

	memcpy(trimmed, text, len);
	trimmed[len] = '\0';
	return prefix_parse(trimmed, ret);
}

struct prefix field_prefix(struct field f)
{
	const char *text = field_text(f);
	struct prefix prefix = { 0 };

	if (text && *text && prefix_parse_trimmed(text, &prefix) < 0)
		field_refuse(f, -EINVAL, "\"%.64s\" is not an address range (ADDRESS/BITS)", text);
	return prefix;
}

struct prefix field_valid_prefix(struct field f)
{
	const char *text = field_text(f);
	struct prefix prefix;

	if (!text || prefix_parse_trimmed(text, &prefix) < 0)
		return (struct prefix){ 0 };
	return prefix;
}

/* Exactly @digits digits at *@p, which moves behind them. */
static bool number_take(const char **p, int digits, int *ret)
{
	*ret = 0;
	for (; digits > 0; digits--, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return false;
		*ret = *ret * 10 + (**p - '0');
	}
	return true;
}

static bool char_take(const char **p, const char *any_of)
{
	if (!**p || !strchr(any_of, **p))
		return false;
	(*p)++;
	return true;
}

/* "Z", "+hh:mm" or "-hh:mm" up to the end of the text. */
static bool zone_take(const char **p, int *ret_seconds)
{
	int sign = **p == '-' ? -1 : 1;
	int hours, minutes;

	*ret_seconds = 0;
	if (char_take(p, "Zz"))
		return !**p;
	if (!char_take(p, "+-") || !number_take(p, 2, &hours) || !char_take(p, ":") ||
	    !number_take(p, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_seconds = sign * (hours * 60 + minutes) * 60;
	return !**p;
}

static bool time_parse(const char *text, int64_t *ret)
{
	struct tm tm = { 0 }, same;
	const char *p = text;
	int zone_s;

	if (!number_take(&p, 4, &tm.tm_year) || !char_take(&p, "-") ||
	    !number_take(&p, 2, &tm.tm_mon) || !char_take(&p, "-") ||
	    !number_take(&p, 2, &tm.tm_mday) || !char_take(&p, "Tt") ||
	    !number_take(&p, 2, &tm.tm_hour) || !char_take(&p, ":") ||
	    !number_take(&p, 2, &tm.tm_min) || !char_take(&p, ":") ||
	    !number_take(&p, 2, &tm.tm_sec))
		return false;
	if (char_take(&p, ".")) {
		if (!isdigit((unsigned char)*p))
			return false;
		p += strspn(p, "0123456789");
	}
	if (!zone_take(&p, &zone_s))
		return false;

	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	same = tm;
	*ret = (int64_t)timegm(&tm) - zone_s;
	/* timegm() moves a 30th of February to March: what is too big changes itself or the next. */
	return tm.tm_mon == same.tm_mon && tm.tm_hour == same.tm_hour && tm.tm_min == same.tm_min;
}

int64_t field_time(struct field f)
{
	const char *text = field_text(f);
	int64_t seconds = 0;

	if (text && !time_parse(text, &seconds))
		field_refuse(f, -EINVAL, "\"%.64s\" is not an RFC 3339 time", text);
	return seconds;
}
