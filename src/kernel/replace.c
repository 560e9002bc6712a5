/* Replacing the tables by others, which packets meet complete or not at all.
 *
 * The rules of a transaction are in force at one instant of its commit, and so are the elements of hash
 * tables. Sets with ranges are filled at its end, with many elements half a second later; meanwhile
 * rules find them empty, and refuse what they allow. So a table is made dormant, and woken by a
 * transaction of its own, which deletes the one before. As two can't have one name, a copy stands in:
 *
 *   1. the interim table is made, dormant
 *   2. the interim table is woken, the old one deleted
 *   3. the new table is made, dormant
 *   4. the new table is woken, the interim one deleted
 *
 * Waking comes before deleting, so packets meet one of them at least, whole, at any time. Where they meet
 * no old one, 3 and 4 are all: so it is at the start, and where an agent was killed on the way.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "base/error.h"
#include "kernel/affinity.h"
#include "kernel/attrs.h"
#include "kernel/batch.h"
#include "kernel/carry.h"
#include "kernel/netlink.h"
#include "kernel/skeleton.h"
#include "kernel/tables-internal.h"

static const uint8_t families[N_FAMILIES] = { AF_INET, AF_INET6 };

static int presence_read(const struct nlmsghdr *nlh, void *userdata)
{
	enum table_presence *presence = userdata;
	const struct nlattr *flags;
	struct attrs in;

	attrs_of_message(nlh, &in);
	flags = in.at[NFTA_TABLE_FLAGS];
	*presence = flags && mnl_attr_validate(flags, MNL_TYPE_U32) >= 0 &&
				    mnl_attr_get_u32(flags) & htonl(NFT_TABLE_F_DORMANT) ?
			    TABLE_DORMANT :
			    TABLE_AWAKE;
	return 0;
}

int tables_presence(struct tables *t, uint8_t family, const char *table, enum table_presence *ret,
		    struct error *err)
{
	char request[256] __attribute__((aligned(8)));
	uint16_t protocol = family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(request, NFT_MSG_GETTABLE, protocol, 0, 0);
	int r;

	*ret = TABLE_ABSENT;
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, table);
	r = netlink_dump(t->nl, nlh, presence_read, ret, err);
	return r == -ENOENT ? 0 : r;
}

/* Whether packets meet a table of ours, in one of the families at least. */
static int any_is_awake(struct tables *t, bool *ret, struct error *err)
{
	enum table_presence presence;
	int r = 0;

	*ret = false;
	for (size_t f = 0; r == 0 && f < N_FAMILIES; f++) {
		r = tables_presence(t, families[f], TABLE_NAME, &presence, err);
		*ret |= r == 0 && presence == TABLE_AWAKE;
	}
	return r;
}

static void put_whole(struct tables *t, const struct transaction *whole, size_t per_message,
		      struct batch *b)
{
	char comment[TEMPLATE_COMMENT_MAX];

	template_comment(comment);
	batch_begin(b, t->making, 0);
	for (size_t f = 0; f < N_FAMILIES; f++) {
		batch_delete_table(b, families[f]);
		if (!t->skeletons[f])
			continue;
		batch_add_dormant_table(b, families[f], comment);
		skeleton_put(t->skeletons[f], b);
	}
	tables_forget_chains(t);
	tables_put_missing_chains(t, whole, b);
	tables_put_definitions(t, whole, b);
	batch_changes(b, whole->changes, whole->n_changes, true, per_message);
	for (size_t f = 0; f < N_FAMILIES; f++)
		batch_raw_elements(b, families[f], AFFINITY_MAP, &t->bindings[f], true);
	batch_end(b);
}

static int read_bindings(struct tables *t, const char *from, const struct transaction *whole,
			 struct error *err)
{
	size_t n = 0;
	int r = 0;

	for (size_t f = 0; r == 0 && f < N_FAMILIES; f++) {
		buf_reset(&t->bindings[f]);
		if (t->skeletons[f])
			r = affinity_read(t->nl, families[f], from, &whole->bindings,
					  &t->bindings[f], &n, err);
	}
	for (size_t f = 0; f < N_FAMILIES; f++)
		if (whole->n_chains > 0 && n > TABLES_MAX_CARRIED / whole->n_chains)
			buf_reset(&t->bindings[f]);
	return r;
}

static int carry_counts(struct tables *t, const char *from, const struct transaction *whole,
			struct error *err)
{
	int r = 0;

	for (size_t f = 0; r == 0 && f < N_FAMILIES; f++)
		if (t->skeletons[f])
			r = carry_whole(t->nl, families[f], from, whole);
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

static void free_bindings(struct tables *t)
{
	for (size_t f = 0; f < N_FAMILIES; f++)
		buf_free(&t->bindings[f]);
}

static int send_whole(struct tables *t, const struct transaction *whole, struct commit *ret,
		      struct error *err)
{
	_cleanup_batch_ struct batch b = { 0 };
	int r;

	put_whole(t, whole, 0, &b);
	tables_count_commit(whole, &b, ret);
	r = batch_commit(&b, t->nl, NULL, err);
	if (r < 0) {
		batch_free(&b);
		if (tables_is_refusal(r))
			tables_find_culprit(t, whole, put_whole, ret);
		return r;
	}
	r = tables_note_made(t, whole); /* put_whole() took all others for gone */
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

/* Wake @up, delete @down. */
static int switch_tables(struct tables *t, const char *up, const char *down, struct error *err)
{
	_cleanup_batch_ struct batch b = { 0 };

	batch_begin(&b, up, 0);
	for (size_t f = 0; f < N_FAMILIES; f++)
		if (t->skeletons[f])
			batch_wake_table(&b, families[f]);
	batch_table(&b, down);
	for (size_t f = 0; f < N_FAMILIES; f++)
		batch_delete_table(&b, families[f]);
	batch_end(&b);
	return batch_commit(&b, t->nl, NULL, err);
}

/* Make @table, which remembers what @old has counted and learned, and let it take its place. */
static int make_table(struct tables *t, const char *table, const char *old,
		      const struct transaction *whole, struct commit *ret, struct error *err)
{
	int r = read_bindings(t, old, whole, err);

	t->making = table;
	if (r == 0)
		r = carry_counts(t, old, whole, err);
	if (r == 0)
		r = send_whole(t, whole, ret, err);
	free_bindings(t);
	return r < 0 ? r : switch_tables(t, table, old, err);
}

int tables_replace(struct tables *t, const struct transaction *whole, struct commit *ret,
		   struct error *err)
{
	bool awake;
	int r = any_is_awake(t, &awake, err);

	*ret = (struct commit){ 0 };
	if (r == 0 && awake)
		r = make_table(t, INTERIM_TABLE, TABLE_NAME, whole, ret, err);
	if (r == 0)
		r = make_table(t, TABLE_NAME, INTERIM_TABLE, whole, ret, err);
	return r;
}
