/* fuzz-element.c - a set's element as the kernel dumps it; what is read and written again is read the
 * same. The first byte chooses set and family, the others are the attributes. */
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "kernel/element-codec.h"
#include "object-check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { MESSAGE_BYTES = 4096 };

/* Memory of just its size, so that reading behind it is seen. Freed by the caller. */
static struct nlattr *attr_make(const uint8_t *payload, size_t len)
{
	struct nlattr *attr = malloc(MNL_ATTR_HDRLEN + len);

	check(attr);
	attr->nla_type = NFTA_LIST_ELEM | NLA_F_NESTED;
	attr->nla_len = (uint16_t)(MNL_ATTR_HDRLEN + len);
	memcpy(mnl_attr_get_payload(attr), payload, len);
	return attr;
}

static void prints(const struct element *e)
{
	_cleanup_buf_ struct buf text = { 0 };

	element_print(e, &text);
	check(buf_error(&text) == 0 && text.len > 0);
}

/* Verdicts and comments of others are only ever deleted. */
static bool could_be_ours(const struct element *e)
{
	return (!set_layout(e->set)->verdict || e->verdict != VERDICT_NONE) &&
	       !set_layout(e->set)->interval &&
	       (!e->comment || strlen(e->comment) <= COMMENT_MAX_BYTES);
}

static void comes_back(const struct element *e, struct arena *arena)
{
	char message[MESSAGE_BYTES] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(message);
	const struct counter begin = { 7, 420 };
	struct element again;

	element_put(nlh, e, &begin, true);
	check(element_get(mnl_nlmsg_get_payload(nlh), e->set, e->family, arena, &again) ==
	      ELEMENT_READ);
	check(element_cmp(e, &again) == 0 && element_same_value(e, &again));
	check(element_get_counter(mnl_nlmsg_get_payload(nlh)).packets == 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new(64);
	_cleanup_free_ struct nlattr *attr = NULL;
	struct element e;
	enum set_id set;
	const void *value;
	uint16_t value_len;
	uint8_t family;
	int r;

	check(arena);
	if (len < 1 || len > MESSAGE_BYTES)
		return 0;
	set = data[0] % SET_COUNT;
	family = data[0] & 0x80 ? AF_INET6 : AF_INET;
	attr = attr_make(data + 1, len - 1);

	r = element_get(attr, set, family, arena, &e);
	check(r >= 0);
	if (r != ELEMENT_READ_OTHER) {
		check(e.set == set && e.family == family && e.verdict < VERDICT_COUNT);
		prints(&e);
	}
	if (r == ELEMENT_READ && could_be_ours(&e))
		comes_back(&e, arena);
	element_get_counter(attr);
	value = element_get_value(attr, NFTA_SET_ELEM_KEY, &value_len);
	check(!value || (value >= (const void *)attr && value_len < len));
	return 0;
}
