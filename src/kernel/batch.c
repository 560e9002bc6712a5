#include "kernel/batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "kernel/attrs.h"
#include "kernel/element-codec.h"
#include "kernel/netlink.h"
#include "ruleset/transaction.h"

/* A margin that holds the headers and the largest single element. */
#define ELEMENTS_FULL_BYTES (BATCH_MESSAGE_BYTES - 1024)

static uint8_t nfproto(uint8_t family)
{
	return family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
}

/* The first error sticks. */
static void batch_fail(struct batch *b, int error)
{
	if (b->error == 0)
		b->error = error;
}

static void *batch_reserve(struct batch *b)
{
	return b->error < 0 ? NULL : buf_reserve(&b->buf, BATCH_MESSAGE_BYTES + 4096);
}

static void batch_note_part(struct batch *b, size_t subject)
{
	if (ARRAY_RESERVE(b->parts, b->n_parts, b->cap_parts) < 0) {
		batch_fail(b, -ENOMEM);
		return;
	}
	b->parts[b->n_parts++] = (struct batch_part){ b->sequence, subject };
}

void batch_about(struct batch *b, size_t subject)
{
	b->about = subject;
	b->is_about = true;
}

void batch_about_nothing(struct batch *b)
{
	b->is_about = false;
}

/* The table's name has the same number in all messages. */
struct nlmsghdr *batch_open(struct batch *b, uint16_t type, uint8_t family, uint16_t flags)
{
	void *room = batch_reserve(b);
	struct nlmsghdr *nlh;

	if (!room) {
		batch_fail(b, -ENOMEM);
		return NULL;
	}
	if (b->is_about)
		batch_note_part(b, b->about);
	nlh = nftnl_nlmsg_build_hdr(room, type, nfproto(family), flags, b->sequence++);
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, b->table);
	return nlh;
}

void batch_put_attrs(struct nlmsghdr *nlh, const void *attrs, size_t len)
{
	memcpy(mnl_nlmsg_get_payload_tail(nlh), attrs, len);
	nlh->nlmsg_len += (uint32_t)len;
}

void batch_close(struct batch *b, const struct nlmsghdr *nlh)
{
	buf_advance(&b->buf, nlh->nlmsg_len);
}

static void batch_frame(struct batch *b, uint16_t type, uint32_t generation)
{
	void *room = batch_reserve(b);
	struct nlmsghdr *nlh;
	struct nfgenmsg *nfg;

	if (!room) {
		batch_fail(b, -ENOMEM);
		return;
	}
	nlh = mnl_nlmsg_put_header(room);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = b->sequence++;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(NFNL_SUBSYS_NFTABLES);
	if (generation)
		mnl_attr_put_u32(nlh, NFNL_BATCH_GENID, htonl(generation));
	batch_close(b, nlh);
}

void batch_begin(struct batch *b, const char *table, uint32_t generation)
{
	batch_table(b, table);
	batch_frame(b, NFNL_MSG_BATCH_BEGIN, generation);
}

void batch_end(struct batch *b)
{
	batch_frame(b, NFNL_MSG_BATCH_END, 0);
}

void batch_table(struct batch *b, const char *table)
{
	b->table = table;
}

static void batch_new_table(struct batch *b, uint8_t family, const char *comment, uint32_t flags)
{
	struct nlmsghdr *nlh = batch_open(b, NFT_MSG_NEWTABLE, family, NLM_F_CREATE);

	if (!nlh)
		return;
	mnl_attr_put_u32(nlh, NFTA_TABLE_FLAGS, htonl(flags));
	if (comment)
		attr_put_comment(nlh, NFTA_TABLE_USERDATA, NFTNL_UDATA_TABLE_COMMENT, comment);
	batch_close(b, nlh);
}

void batch_add_dormant_table(struct batch *b, uint8_t family, const char *comment)
{
	batch_new_table(b, family, comment, NFT_TABLE_F_DORMANT);
}

void batch_wake_table(struct batch *b, uint8_t family)
{
	batch_new_table(b, family, NULL, 0);
}

void batch_delete_table(struct batch *b, uint8_t family)
{
	struct nlmsghdr *nlh = batch_open(b, NFT_MSG_NEWTABLE, family, NLM_F_CREATE);

	/* Adding it first makes the deletion right whether it is there or not. */
	if (nlh)
		batch_close(b, nlh);
	nlh = batch_open(b, NFT_MSG_DELTABLE, family, 0);
	if (nlh)
		batch_close(b, nlh);
}

void batch_add_chain_name(struct batch *b, uint8_t family, const char *name)
{
	struct nlmsghdr *nlh = batch_open(b, NFT_MSG_NEWCHAIN, family, NLM_F_CREATE | NLM_F_EXCL);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, name);
	batch_close(b, nlh);
}

static void batch_name(struct batch *b, uint16_t type, uint8_t family, uint16_t attr,
		       const char *name)
{
	struct nlmsghdr *nlh = batch_open(b, type, family, 0);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, attr, name);
	batch_close(b, nlh);
}

void batch_flush_chain(struct batch *b, uint8_t family, const char *name)
{
	batch_name(b, NFT_MSG_DELRULE, family, NFTA_RULE_CHAIN, name);
}

void batch_delete_chain(struct batch *b, uint8_t family, const char *name)
{
	batch_flush_chain(b, family, name);
	batch_name(b, NFT_MSG_DELCHAIN, family, NFTA_CHAIN_NAME, name);
}

void batch_delete_set(struct batch *b, uint8_t family, const char *name)
{
	batch_name(b, NFT_MSG_DELSET, family, NFTA_SET_NAME, name);
}

static struct nlmsghdr *elements_begin(struct batch *b, uint8_t family, const char *set, bool add,
				       struct nlattr **ret_list)
{
	struct nlmsghdr *nlh = batch_open(b, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, family,
					  add ? NLM_F_CREATE | NLM_F_EXCL : 0);

	if (!nlh)
		return NULL;
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	*ret_list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	return nlh;
}

/* One message from @changes[@i] on; returns the index behind it. */
static size_t batch_changes_message(struct batch *b, const struct change *changes, size_t n,
				    size_t i, size_t per_message)
{
	const struct element *first = &changes[i].element;
	bool add = changes[i].add;
	char name[SET_NAME_MAX_BYTES];
	struct nlattr *list;
	struct nlmsghdr *nlh;
	size_t count = 0;

	batch_note_part(b, i);
	nlh = elements_begin(b, first->family, element_set_name(first, name), add, &list);
	if (!nlh)
		return n;
	for (; i < n && nlh->nlmsg_len < ELEMENTS_FULL_BYTES; i++) {
		const struct element *e = &changes[i].element;

		if (changes[i].add != add || changes[i].ahead)
			continue;
		if (element_set_cmp(e, first) != 0 || (per_message && count == per_message))
			break;
		element_put(nlh, e, &changes[i].counter, add);
		count++;
	}
	mnl_attr_nest_end(nlh, list);
	batch_close(b, nlh);
	return i;
}

void batch_changes(struct batch *b, const struct change *changes, size_t n, bool add,
		   size_t per_message)
{
	size_t i = 0;

	while (i < n && b->error == 0) {
		if (changes[i].add == add && !changes[i].ahead)
			i = batch_changes_message(b, changes, n, i, per_message);
		else
			i++;
	}
}

void batch_raw_elements(struct batch *b, uint8_t family, const char *set,
			const struct buf *elements, bool add)
{
	size_t done = 0;

	while (done < elements->len && b->error == 0) {
		struct nlattr *list;
		struct nlmsghdr *nlh = elements_begin(b, family, set, add, &list);

		if (!nlh)
			return;
		while (done < elements->len && nlh->nlmsg_len < ELEMENTS_FULL_BYTES) {
			const struct nlattr *e = (const void *)(elements->data + done);

			mnl_attr_put(nlh, NFTA_LIST_ELEM | NLA_F_NESTED,
				     mnl_attr_get_payload_len(e), mnl_attr_get_payload(e));
			done += (size_t)MNL_ALIGN(mnl_attr_get_len(e));
		}
		mnl_attr_nest_end(nlh, list);
		batch_close(b, nlh);
	}
}

/* Number the messages anew from where the socket is, and let the first one behind the frame answer. */
static int batch_number(struct batch *b, struct netlink *nl, uint32_t *ret_ack)
{
	uint32_t first = netlink_sequence(nl, b->sequence);
	struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)b->buf.data;
	int left = (int)b->buf.len, i = 0;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left), i++) {
		nlh->nlmsg_seq += first;
		if (i == 1)
			nlh->nlmsg_flags |= NLM_F_ACK;
	}
	b->first_sequence = first;
	*ret_ack = first + 1;
	return i > 2 ? 0 : -EINVAL;
}

static size_t batch_subject_at(const struct batch *b, uint32_t sequence)
{
	for (size_t i = 0; i < b->n_parts; i++)
		if (b->parts[i].sequence + b->first_sequence == sequence)
			return b->parts[i].subject;
	return SIZE_MAX;
}

int batch_commit(struct batch *b, struct netlink *nl, size_t *ret_subject, struct error *err)
{
	uint32_t ack, failed = 0;
	int r;

	if (b->error < 0 || buf_error(&b->buf) < 0)
		return error_set(err, -ENOMEM, "nftables transaction: out of memory");
	r = batch_number(b, nl, &ack);
	if (r < 0)
		return error_set(err, r, "nftables transaction without content");

	r = netlink_commit(nl, b->buf.data, b->buf.len, ack, &failed, err);
	if (r < 0 && ret_subject)
		*ret_subject = batch_subject_at(b, failed);
	return r;
}

size_t batch_size(const struct batch *b)
{
	return b->buf.len;
}

void batch_free(struct batch *b)
{
	buf_free(&b->buf);
	free(b->parts);
	*b = (struct batch){ 0 };
}
