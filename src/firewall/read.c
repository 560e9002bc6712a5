#include "firewall/read.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "firewall/firewall.h"
#include "kernel/defined.h"
#include "kernel/dump.h"
#include "kernel/netlink.h"
#include "kernel/snapshot.h"
#include "ruleset/template.h"

static const uint8_t families[] = { AF_INET, AF_INET6 };

struct reading {
	struct netlink *nl;
	struct defined_list definitions;
	struct dump elements;
	size_t n_tables, strange;
};

static void reading_end(struct reading *rd)
{
	defined_free(&rd->definitions);
	dump_free(&rd->elements);
}

/* Whatever an attempt before has left. */
static int reading_begin_anew(struct reading *rd)
{
	int r;

	reading_end(rd);
	rd->n_tables = rd->strange = 0;
	r = defined_new(&rd->definitions);
	return r < 0 ? r : dump_new(&rd->elements);
}

/* Of another release's table, or a changed one, a set may be missing. */
static int read_set(struct reading *rd, const struct element *in, struct error *err)
{
	int r = dump_set(&rd->elements, rd->nl, TABLE_NAME, in, &rd->strange, err);

	return r == -ENOENT ? 0 : r;
}

/* -ENOENT: there is no table. */
static int read_table(struct reading *rd, uint8_t family, struct error *err)
{
	static const enum set_id sets[] = { SET_EGRESS_PODS, SET_INGRESS_PODS, SET_LOCAL_PODS,
					    SET_LOCAL_POD_CIDRS };
	int r = defined_read(&rd->definitions, rd->nl, family, TABLE_NAME, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(sets); i++) {
		const struct element in = { .set = (uint8_t)sets[i], .family = family };

		r = read_set(rd, &in, err);
	}
	return r;
}

static int read_defined_sets(struct reading *rd, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < rd->definitions.n; i++) {
		const struct definition *d = &rd->definitions.items[i].definition;
		struct element in = { .family = d->family };

		if (definition_is_chain(d) || !definition_id(d, &in.id))
			continue;
		in.set = (uint8_t)definition_set(d->kind);
		r = read_set(rd, &in, err);
	}
	dump_settle(&rd->elements);
	return r;
}

static int read_all(struct netlink *nl, void *userdata, struct error *err)
{
	struct reading *rd = userdata;
	int r = 0;

	rd->nl = nl;
	if (reading_begin_anew(rd) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(families); i++) {
		r = read_table(rd, families[i], err);
		rd->n_tables += r == 0;
		r = r == -ENOENT ? 0 : r;
	}
	if (r == 0 && rd->n_tables == 0)
		return error_set(err, -ENOENT, "there is no table " TABLE_NAME " here");
	return r < 0 ? r : read_defined_sets(rd, err);
}

static int firewall_make(const struct reading *rd, const struct firewall_filter *want,
			 struct firewall **ret, struct error *err)
{
	int r = firewall_build(&rd->definitions, &rd->elements, ret);

	if (r < 0)
		return error_set(err, r, "out of memory");
	(*ret)->strange += rd->strange;
	firewall_select(*ret, want);
	return 0;
}

int firewall_read(const struct firewall_filter *want, struct firewall **ret, struct error *err)
{
	_cleanup_(netlink_closep) struct netlink *nl = NULL;
	struct reading rd = { 0 };
	int r = netlink_open(&nl, err);

	if (r == 0)
		r = snapshot_read(nl, read_all, &rd, err);
	if (r == 0)
		r = firewall_make(&rd, want, ret, err);
	reading_end(&rd);
	return r;
}
