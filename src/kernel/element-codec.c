#include "kernel/element-codec.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "base/addr.h"
#include "base/arena.h"
#include "kernel/attrs.h"

#define KEY_MAX_BYTES 64
#define WORD_BYTES 4 /* a concatenation's fields begin on these */

struct key {
	uint8_t bytes[KEY_MAX_BYTES];
	uint16_t len;
};

static uint16_t addr_bytes(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

static void key_put(struct key *k, const void *value, uint16_t len)
{
	memcpy(k->bytes + k->len, value, len);
	k->len = (uint16_t)(k->len + (len + WORD_BYTES - 1) / WORD_BYTES * WORD_BYTES);
}

static void key_put_port(struct key *k, uint16_t port)
{
	uint16_t big_endian = htons(port);

	key_put(k, &big_endian, sizeof(big_endian));
}

static void key_put_target(struct key *k, const struct element *e)
{
	key_put(k, e->other, addr_bytes(e->family));
	key_put_port(k, e->target_port);
}

static void key_put_service(struct key *k, uint8_t protocol, uint16_t port)
{
	key_put(k, &protocol, sizeof(protocol));
	key_put_port(k, port);
}

static void element_key(const struct element *e, struct key *ret)
{
	const struct set_layout *layout = set_layout(e->set);
	uint16_t len = addr_bytes(e->family);

	*ret = (struct key){ 0 };
	if (layout->addr)
		key_put(ret, e->addr, len);
	if (layout->pair)
		key_put(ret, e->other, len);
	if (layout->frontend || layout->ports)
		key_put_service(ret, e->protocol, e->port);
	if (layout->slot)
		key_put(ret, &e->slot, sizeof(e->slot));
	if (layout->flow)
		key_put_target(ret, e);
	if (layout->prefix)
		key_put(ret, e->other, len);
}

/* A prefix, or a range of ports, is a range of keys: this is the last one's. */
static void element_key_end(const struct element *e, struct key *ret)
{
	struct prefix p = { .addr.family = e->family, .len = (uint8_t)e->slot };
	struct element last = *e;

	if (set_layout(e->set)->ports)
		last.port = e->target_port;
	memcpy(p.addr.bytes, e->other, sizeof(p.addr.bytes));
	memcpy(last.other, prefix_range(&p).last.bytes, sizeof(last.other));
	element_key(&last, ret);
}

static void put_value(struct nlmsghdr *nlh, uint16_t type, const struct key *k)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, type);

	mnl_attr_put(nlh, NFTA_DATA_VALUE, k->len, k->bytes);
	mnl_attr_nest_end(nlh, nest);
}

static uint32_t chain_code(uint8_t verdict)
{
	return (uint32_t)(verdict_is_jump(verdict) ? NFT_JUMP : NFT_GOTO);
}

static void put_verdict(struct nlmsghdr *nlh, const struct element *e)
{
	struct nlattr *data = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_DATA);
	struct nlattr *verdict = mnl_attr_nest_start(nlh, NFTA_DATA_VERDICT);
	char chain[CHAIN_NAME_MAX_BYTES];

	if (element_chain_name(e, chain)) {
		mnl_attr_put_u32(nlh, NFTA_VERDICT_CODE, htonl(chain_code(e->verdict)));
		mnl_attr_put_strz(nlh, NFTA_VERDICT_CHAIN, chain);
	} else {
		mnl_attr_put_u32(nlh, NFTA_VERDICT_CODE,
				 htonl(e->verdict == VERDICT_DROP ? NF_DROP : NF_ACCEPT));
	}
	mnl_attr_nest_end(nlh, verdict);
	mnl_attr_nest_end(nlh, data);
}

static void put_target(struct nlmsghdr *nlh, const struct element *e)
{
	struct key data = { 0 };

	key_put_target(&data, e);
	put_value(nlh, NFTA_SET_ELEM_DATA, &data);
}

static void put_interval_end(struct nlmsghdr *nlh, const struct element *e)
{
	struct addr last = { .family = e->family }, behind;
	struct key k = { 0 };
	struct nlattr *nest;

	memcpy(last.bytes, e->other, sizeof(last.bytes));
	if (!addr_next(&last, &behind))
		return; /* up to the end of the address space */
	key_put(&k, behind.bytes, addr_bytes(e->family));
	nest = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	mnl_attr_put_u32(nlh, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
	put_value(nlh, NFTA_SET_ELEM_KEY, &k);
	mnl_attr_nest_end(nlh, nest);
}

static void put_counter(struct nlmsghdr *nlh, const struct counter *c)
{
	struct nlattr *expr = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_EXPR), *data;

	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, "counter");
	data = mnl_attr_nest_start(nlh, NFTA_EXPR_DATA);
	mnl_attr_put_u64(nlh, NFTA_COUNTER_BYTES, htobe64(c->bytes));
	mnl_attr_put_u64(nlh, NFTA_COUNTER_PACKETS, htobe64(c->packets));
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, expr);
}

void element_put(struct nlmsghdr *nlh, const struct element *e, const struct counter *counter,
		 bool add)
{
	const struct set_layout *layout = set_layout(e->set);
	struct nlattr *nest = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	struct key k;

	element_key(e, &k);
	put_value(nlh, NFTA_SET_ELEM_KEY, &k);
	if (layout->prefix || layout->ports) {
		element_key_end(e, &k);
		put_value(nlh, NFTA_SET_ELEM_KEY_END, &k);
	}
	if (add && layout->verdict)
		put_verdict(nlh, e);
	if (add && layout->target)
		put_target(nlh, e);
	if (add && e->comment)
		attr_put_comment(nlh, NFTA_SET_ELEM_USERDATA, NFTNL_UDATA_SET_ELEM_COMMENT,
				 e->comment);
	if (add && counter->packets > 0)
		put_counter(nlh, counter);
	mnl_attr_nest_end(nlh, nest);
	if (layout->interval)
		put_interval_end(nlh, e);
}

static const void *value_get(const struct nlattr *nest, uint16_t type, uint16_t *ret_len)
{
	struct attrs in;

	attrs_of_nest(nest, &in);
	if (!in.at[type])
		return NULL;
	*ret_len = mnl_attr_get_payload_len(in.at[type]);
	return mnl_attr_get_payload(in.at[type]);
}

struct reader {
	const uint8_t *at;
	uint16_t left;
	bool short_of; /* the value was too short for what was read */
};

static void reader_take(struct reader *r, void *ret, uint16_t len)
{
	uint16_t padded = (uint16_t)((len + WORD_BYTES - 1) / WORD_BYTES * WORD_BYTES);

	if (r->left < len) {
		r->short_of = true;
		return;
	}
	memcpy(ret, r->at, len);
	padded = padded > r->left ? r->left : padded;
	r->at += padded;
	r->left = (uint16_t)(r->left - padded);
}

static void reader_take_target(struct reader *r, struct element *e)
{
	uint16_t port = 0;

	reader_take(r, e->other, addr_bytes(e->family));
	reader_take(r, &port, sizeof(port));
	e->target_port = ntohs(port);
}

static void reader_take_service(struct reader *r, uint8_t *ret_protocol, uint16_t *ret_port)
{
	uint16_t big_endian = 0;

	reader_take(r, ret_protocol, sizeof(*ret_protocol));
	reader_take(r, &big_endian, sizeof(big_endian));
	*ret_port = ntohs(big_endian);
}

static bool key_get(const struct nlattr *attr, struct element *e)
{
	const struct set_layout *layout = set_layout(e->set);
	uint16_t len = addr_bytes(e->family);
	struct reader r = { 0 };

	r.at = value_get(attr, NFTA_DATA_VALUE, &r.left);
	if (!r.at)
		return false;
	if (layout->addr)
		reader_take(&r, e->addr, len);
	if (layout->pair)
		reader_take(&r, e->other, len);
	if (layout->frontend || layout->ports)
		reader_take_service(&r, &e->protocol, &e->port);
	if (layout->slot)
		reader_take(&r, &e->slot, sizeof(e->slot));
	if (layout->flow)
		reader_take_target(&r, e);
	if (layout->prefix)
		reader_take(&r, e->other, len);
	return !r.short_of && r.left == 0;
}

/* @e has the first key of a range, @attr the last one, if it is another. False: no prefix. */
static bool prefix_get(const struct nlattr *attr, struct element *e)
{
	struct addr_range range = { .first.family = e->family, .last.family = e->family };
	struct element last = *e;
	struct prefix p;

	if (attr && !key_get(attr, &last))
		return false;
	memcpy(range.first.bytes, e->other, sizeof(e->other));
	memcpy(range.last.bytes, last.other, sizeof(last.other));
	if (!prefix_of_range(&range, &p))
		return false;
	e->slot = last.slot = p.len;
	memcpy(last.other, e->other, sizeof(last.other));
	return element_cmp(e, &last) == 0; /* the same frontend */
}

/* As above. False: a range over protocols. */
static bool ports_get(const struct nlattr *attr, struct element *e)
{
	struct element last = *e;

	if (attr && !key_get(attr, &last))
		return false;
	e->target_port = last.port;
	return last.protocol == e->protocol;
}

static bool u32_get(const struct nlattr *attr, uint32_t *ret)
{
	if (!attr || mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
		return false;
	*ret = ntohl(mnl_attr_get_u32(attr));
	return true;
}

static bool verdict_get(const struct nlattr *data, struct element *e)
{
	struct attrs in, v;
	const char *chain;
	uint32_t code;

	attrs_of_nest(data, &in);
	attrs_of_nest(in.at[NFTA_DATA_VERDICT], &v);
	if (!u32_get(v.at[NFTA_VERDICT_CODE], &code))
		return false;
	chain = attr_text(v.at[NFTA_VERDICT_CHAIN]);
	if (code == NF_DROP)
		e->verdict = VERDICT_DROP;
	else if (code == NF_ACCEPT)
		e->verdict = VERDICT_ACCEPT;
	else if (chain)
		element_read_chain(e, chain);
	if (chain && code != chain_code(e->verdict))
		e->verdict = VERDICT_NONE;
	return true; /* a verdict of somebody else stays VERDICT_NONE, which equals none of ours */
}

static bool target_get(const struct nlattr *data, struct element *e)
{
	struct reader r = { 0 };

	r.at = value_get(data, NFTA_DATA_VALUE, &r.left);
	if (!r.at)
		return false;
	reader_take_target(&r, e);
	return !r.short_of && r.left == 0;
}

static int comment_get(const struct nlattr *udata, struct arena *arena, struct element *e)
{
	size_t len;
	const char *text = attr_comment(udata, NFTNL_UDATA_SET_ELEM_COMMENT, &len);

	if (!text)
		return 0;
	e->comment = arena_strndup(arena, text, len);
	return e->comment ? 0 : -ENOMEM;
}

int element_get(const struct nlattr *attr, enum set_id set, uint8_t family, struct arena *arena,
		struct element *ret)
{
	const struct set_layout *layout = set_layout(set);
	struct element e = { .set = (uint8_t)set, .family = family };
	uint32_t flags = 0;
	struct attrs in;

	attrs_of_nest(attr, &in);
	if (!key_get(in.at[NFTA_SET_ELEM_KEY], &e) ||
	    (layout->prefix && !prefix_get(in.at[NFTA_SET_ELEM_KEY_END], &e)) ||
	    (in.at[NFTA_SET_ELEM_FLAGS] && !u32_get(in.at[NFTA_SET_ELEM_FLAGS], &flags)) ||
	    (layout->ports && !ports_get(in.at[NFTA_SET_ELEM_KEY_END], &e)) ||
	    (layout->verdict && !verdict_get(in.at[NFTA_SET_ELEM_DATA], &e)) ||
	    (layout->target && !target_get(in.at[NFTA_SET_ELEM_DATA], &e)))
		return ELEMENT_READ_OTHER;
	if (arena && comment_get(in.at[NFTA_SET_ELEM_USERDATA], arena, &e) < 0)
		return -ENOMEM;

	*ret = e;
	return flags & NFT_SET_ELEM_INTERVAL_END ? ELEMENT_READ_END : ELEMENT_READ;
}

struct counter element_get_counter(const struct nlattr *attr)
{
	struct counter c = { 0 };
	const char *name;
	struct attrs in;

	attrs_of_nest(attr, &in);
	attrs_of_nest(in.at[NFTA_SET_ELEM_EXPR], &in);
	name = attr_text(in.at[NFTA_EXPR_NAME]);
	if (!name || strcmp(name, "counter") != 0)
		return c;
	attrs_of_nest(in.at[NFTA_EXPR_DATA], &in);
	c.packets = attr_u64(in.at[NFTA_COUNTER_PACKETS]);
	c.bytes = attr_u64(in.at[NFTA_COUNTER_BYTES]);
	return c;
}

const void *element_get_value(const struct nlattr *attr, uint16_t type, uint16_t *ret_len)
{
	struct attrs in;

	attrs_of_nest(attr, &in);
	return value_get(in.at[type], NFTA_DATA_VALUE, ret_len);
}
