#include "kernel/affinity.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/attrs.h"
#include "kernel/batch.h"
#include "kernel/dump.h"
#include "kernel/element-codec.h"
#include "kernel/netlink.h"
#include "ruleset/bindings.h"

#define FULL_CHAIN "affinity-full"

enum key_size {
	CLIENT_BYTES = 4,
	KEY_BYTES = CLIENT_BYTES + BINDING_WORDS * 4,
};

/* A map of another release, or somebody's own of that name, may hold what ours does not take. */
static bool binding_get(const struct nlattr *attr, uint8_t family, struct binding *ret)
{
	uint16_t key_len = 0, data_len = 0, addr_len = family == AF_INET ? 4 : 16;
	const uint8_t *key = element_get_value(attr, NFTA_SET_ELEM_KEY, &key_len);
	const uint8_t *data = element_get_value(attr, NFTA_SET_ELEM_DATA, &data_len);

	if (!key || !data || key_len != KEY_BYTES || data_len != addr_len)
		return false;
	*ret = (struct binding){ .family = family };
	memcpy(ret->words, key + CLIENT_BYTES, sizeof(ret->words));
	memcpy(ret->addr, data, addr_len);
	return true;
}

/* Elements of the map, picked by what they remember: those of the bindings, or all others. */
struct pick {
	uint8_t family;
	const struct bindings *bindings;
	bool others;
	struct buf *out;
	size_t n;
};

static int pick_element(const struct nlattr *attr, void *userdata)
{
	struct pick *p = userdata;
	struct binding b;
	bool found = binding_get(attr, p->family, &b) && bindings_have(p->bindings, &b);

	p->n += found != p->others;
	if (found != p->others)
		buf_append(p->out, attr, (size_t)MNL_ALIGN(mnl_attr_get_len(attr)));
	return buf_error(p->out);
}

/* The first @n elements of @elements, which are taken off it. */
static struct buf elements_take(struct buf *elements, size_t n)
{
	struct buf first = { .data = elements->data };

	for (; n > 0 && first.len < elements->len; n--) {
		const struct nlattr *e = (const void *)(elements->data + first.len);

		first.len += (size_t)MNL_ALIGN(mnl_attr_get_len(e));
	}
	elements->data += first.len;
	elements->len -= first.len;
	return first;
}

static int elements_delete(struct netlink *nl, uint8_t family, const char *table,
			   const struct buf *elements, struct error *err)
{
	_cleanup_batch_ struct batch b = { 0 };

	batch_begin(&b, table, 0);
	batch_raw_elements(&b, family, AFFINITY_MAP, elements, false);
	batch_end(&b);
	return batch_commit(&b, nl, NULL, err);
}

/* Delete what is picked, @n elements in each transaction. -ENOENT: one of them ran out meanwhile, which
 * voids its transaction; the others were sent nevertheless. */
static int purge_once(struct netlink *nl, const char *table, struct pick *p, size_t n,
		      struct error *err)
{
	struct buf left;
	int r, result = 0;

	buf_reset(p->out);
	r = dump_attrs(nl, p->family, table, AFFINITY_MAP, pick_element, p, err);
	if (r < 0)
		return r;
	left = *p->out;
	while (left.len > 0) {
		struct buf some = elements_take(&left, n);

		r = elements_delete(nl, p->family, table, &some, err);
		if (r < 0 && r != -ENOENT)
			return r;
		result = r < 0 ? r : result;
	}
	return result;
}

/* All at once as a rule; in the end one by one, when an element that is not there is no error. */
static int purge(struct netlink *nl, const char *table, struct pick p, struct error *err)
{
	static const size_t per_transaction[] = { SIZE_MAX, SIZE_MAX, 64, 1 };
	_cleanup_buf_ struct buf found = { 0 };
	int r = -ENOENT;

	p.out = &found;
	for (size_t i = 0; i < ARRAY_SIZE(per_transaction) && (r == -ENOENT || r == -EINTR); i++)
		r = purge_once(nl, table, &p, per_transaction[i], err);
	if (r < 0 && r != -ENOENT)
		return error_wrap(err, r, "forget bindings to endpoints that are gone");
	return 0;
}

int affinity_forget(struct netlink *nl, uint8_t family, const char *table,
		    const struct bindings *gone, struct error *err)
{
	struct pick p = { .family = family, .bindings = gone };
	bool any = false;

	for (size_t i = 0; i < gone->n && !any; i++)
		any = gone->items[i].family == family;
	return any ? purge(nl, table, p, err) : 0;
}

int affinity_retain(struct netlink *nl, uint8_t family, const char *table,
		    const struct bindings *kept, struct error *err)
{
	struct pick p = { .family = family, .bindings = kept, .others = true };

	return purge(nl, table, p, err);
}

int affinity_read(struct netlink *nl, uint8_t family, const char *table,
		  const struct bindings *kept, struct buf *ret, size_t *ret_n, struct error *err)
{
	struct pick p = { .family = family, .bindings = kept, .out = ret };
	struct error ignored = { 0 };
	int r = 0;

	if (kept->n > 0)
		r = dump_attrs(nl, family, table, AFFINITY_MAP, pick_element, &p, &ignored);
	*ret_n += p.n;
	if (r == -ENOENT)
		return 0;
	return r < 0 ? error_set(err, r, "read map " AFFINITY_MAP ": %s", ignored.message) : 0;
}

static int count_element(const struct nlattr *attr, void *userdata)
{
	size_t *n = userdata;

	(void)attr;
	*n += 1;
	return 0;
}

static int expr_count(const struct nlattr *expr, void *userdata)
{
	uint64_t *packets = userdata;
	struct attrs in, data;
	const char *name;

	attrs_of_nest(expr, &in);
	attrs_of_nest(in.at[NFTA_EXPR_DATA], &data);
	name = attr_text(in.at[NFTA_EXPR_NAME]);
	if (name && strcmp(name, "counter") == 0 && data.at[NFTA_COUNTER_PACKETS] &&
	    mnl_attr_validate(data.at[NFTA_COUNTER_PACKETS], MNL_TYPE_U64) >= 0)
		*packets += be64toh(mnl_attr_get_u64(data.at[NFTA_COUNTER_PACKETS]));
	return MNL_CB_OK;
}

static int rule_count(const struct nlmsghdr *nlh, void *userdata)
{
	struct attrs in;

	attrs_of_message(nlh, &in);
	if (in.at[NFTA_RULE_EXPRESSIONS])
		mnl_attr_parse_nested(in.at[NFTA_RULE_EXPRESSIONS], expr_count, userdata);
	return 0;
}

/* Whose packet can't be remembered comes to a chain with a counter and nothing else. */
static int count_refused(struct netlink *nl, uint8_t family, const char *table, uint64_t *ret,
			 struct error *err)
{
	char request[256] __attribute__((aligned(8)));
	uint16_t proto = family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(request, NFT_MSG_GETRULE, proto, NLM_F_DUMP,
						     0);

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, table);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, FULL_CHAIN);
	return netlink_dump(nl, nlh, rule_count, ret, err);
}

int affinity_count(struct netlink *nl, uint8_t family, const char *table, size_t *ret_bindings,
		   uint64_t *ret_refused, struct error *err)
{
	uint64_t refused = 0;
	size_t n = 0;
	int r = 0;

	if (ret_bindings)
		r = dump_attrs(nl, family, table, AFFINITY_MAP, count_element, &n, err);
	if (r == 0 && ret_refused)
		r = count_refused(nl, family, table, &refused, err);
	if (r < 0)
		return error_wrap(err, r, "count clients with affinity");
	if (ret_bindings)
		*ret_bindings = n;
	if (ret_refused)
		*ret_refused = refused;
	return 0;
}
