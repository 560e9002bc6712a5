#include "traffic/read.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "kernel/conntrack-entry.h"
#include "kernel/counted.h"
#include "kernel/netlink.h"
#include "kernel/snapshot.h"
#include "ruleset/template.h"
#include "traffic/traffic.h"

#define ACCOUNTING_SYSCTL "/proc/sys/net/netfilter/nf_conntrack_acct"

static const uint8_t families[] = { AF_INET, AF_INET6 };

struct reading {
	const struct traffic_filter *want;
	struct netlink *nl;
	struct counted_list elements; /* that have a frontend */
	struct counted_list hairpins;
	size_t n_tables;
};

static void reading_end(struct reading *rd)
{
	counted_free(&rd->elements);
	counted_free(&rd->hairpins);
}

/* Whatever an attempt before has left. */
static int reading_begin_anew(struct reading *rd)
{
	int r;

	reading_end(rd);
	rd->n_tables = 0;
	r = counted_new(&rd->elements);
	return r < 0 ? r : counted_new(&rd->hairpins);
}

/* Of another release's table, or a changed one, a set may be missing. */
static int read_set(struct reading *rd, struct counted_list *l, uint8_t family, enum set_id set,
		    struct error *err)
{
	int r = counted_dump(l, rd->nl, family, TABLE_NAME, set, err);

	return r == -ENOENT ? 0 : r;
}

/* -ENOENT: there is no table. */
static int read_sets(struct reading *rd, uint8_t family, struct error *err)
{
	static const enum set_id others[] = { SET_LOCAL_SERVICES,    SET_NO_ENDPOINTS,
					      SET_AFFINITY_SERVICES, SET_LOCAL_AFFINITY_SERVICES,
					      SET_AFFINITY_TIMEOUTS, SET_GUARDED_FRONTENDS,
					      SET_SOURCE_RANGES };
	int r = counted_dump(&rd->elements, rd->nl, family, TABLE_NAME, SET_SERVICES, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(others); i++)
		r = read_set(rd, &rd->elements, family, others[i], err);
	return r < 0 ? r : read_set(rd, &rd->hairpins, family, SET_HAIRPIN, err);
}

static int read_tables(struct reading *rd, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(families); i++) {
		r = read_sets(rd, families[i], err);
		rd->n_tables += r == 0;
		r = r == -ENOENT ? 0 : r;
	}
	if (r == 0 && rd->n_tables == 0)
		return error_set(err, -ENOENT, "there is no table " TABLE_NAME " here");
	return r;
}

static bool is_wanted(const struct traffic_filter *want, const struct traffic_name *name)
{
	return (!want->namespace || strcmp(want->namespace, name->namespace) == 0) &&
	       (!want->name || strcmp(want->name, name->name) == 0);
}

static int keep_wanted(struct reading *rd)
{
	struct counted_list *l = &rd->elements;
	struct traffic_name name;
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n; i++) {
		r = traffic_name_parse(l->items[i].element.comment, l->comments, &name);
		if (r == 0 && is_wanted(rd->want, &name))
			l->items[kept++] = l->items[i];
	}
	l->n = kept;
	return r;
}

static int read_elements(struct reading *rd, struct error *err)
{
	int r = read_tables(rd, err);

	if (r < 0)
		return r;
	if ((rd->want->namespace || rd->want->name) && keep_wanted(rd) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return counted_look_up_rows(&rd->elements, rd->nl, TABLE_NAME, err);
}

static int read_once(struct netlink *nl, void *userdata, struct error *err)
{
	struct reading *rd = userdata;

	rd->nl = nl;
	return reading_begin_anew(rd) < 0 ? error_set(err, -ENOMEM, "out of memory") :
					    read_elements(rd, err);
}

static int read_services(struct netlink *nl, struct reading *rd, struct traffic **ret,
			 struct error *err)
{
	int r = snapshot_read(nl, read_once, rd, err);

	if (r == -EINTR)
		return error_set(
			err, r,
			"somebody keeps changing nftables; with -n or --service there is less to read");
	if (r == 0 && traffic_build(&rd->elements, &rd->hairpins, ret) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return r;
}

static int flow_read(const struct nlmsghdr *nlh, void *userdata)
{
	struct conntrack_entry entry;

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(struct nfgenmsg) &&
	    conntrack_entry_read(nlh, &entry))
		traffic_add_flow(userdata, &entry);
	return 0;
}

/* Without the module there is no such file, and no connection. */
static bool accounting_is_on(void)
{
	FILE *f = fopen(ACCOUNTING_SYSCTL, "re");
	int first = f ? fgetc(f) : EOF;

	if (f)
		fclose(f);
	return first == '1';
}

static int read_flows(struct netlink *nl, struct traffic *t, struct error *err)
{
	int r = 0;

	t->accounting = accounting_is_on();
	for (size_t i = 0; r == 0 && t->n > 0 && i < ARRAY_SIZE(families); i++)
		r = conntrack_read_translated(nl, families[i], flow_read, t, err);
	return r;
}

int traffic_read(const struct traffic_filter *want, struct traffic **ret, struct error *err)
{
	_cleanup_(netlink_closep) struct netlink *nl = NULL;
	_cleanup_(traffic_freep) struct traffic *t = NULL;
	struct reading rd = { .want = want };
	int r = netlink_open(&nl, err);

	if (r < 0)
		return r;
	r = read_services(nl, &rd, &t, err);
	reading_end(&rd);
	if (r == 0)
		r = read_flows(nl, t, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(t);
	return 0;
}
