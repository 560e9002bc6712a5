/* tables.h - our tables in the kernel, one a family: replaced whole, changed by differences, compared.
 *
 * Only tables of our name are ever touched (and "kube-nft-interim", which stands in for them while they are
 * replaced). What packets meet changes in both families at once or, whatever fails, not at all.
 */
#ifndef KUBE_NFT_KERNEL_TABLES_H
#define KUBE_NFT_KERNEL_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "ruleset/transaction.h"

struct error;
struct flows;
struct ruleset;
struct tables;

enum tables_limit {
	/* More elements than this are not read back: a dump's cost grows with the square of a map's
	 * size (the kernel walks the map from its start for every 32 kB), and from here on replacing
	 * everything is quicker than looking. */
	TABLES_MAX_READ_BACK = 200000,
	/* Clients times dispatch chains. For every element, the kernel walks all rules that use its map,
	 * some 40 ns each; what a replacement would need longer for than two seconds is left behind. */
	TABLES_MAX_CARRIED = 50000000,
};

/* Open the netlink socket and compile the skeletons of the families that are on. A kernel without
 * what the template needs is found here: -EOPNOTSUPP. -EPERM without CAP_NET_ADMIN. */
int tables_open(bool ipv4, bool ipv6, struct tables **ret, struct error *err);
/* The tables stay. NULL is fine; returns NULL. */
struct tables *tables_close(struct tables *t);
DEFINE_CLEANUP(struct tables, tables_close);

/* Our port number, for kernel/events.h to know our own changes by. */
uint32_t tables_port(const struct tables *t);

/* What one commit was. */
struct commit {
	size_t bytes;          /* of netlink */
	size_t added, deleted; /* elements */
	/* On failure: the element, or the set or chain, that the kernel refused, if known; borrowed from
	 * the transaction. */
	const struct element *culprit;
	const struct definition *refused;
};

/* Send the difference @tx (settled). Makes the sets and chains that it needs and that are not there. After an error other
 * than a refusal (-EIO: no answer) the state is unknown: tables_reconcile(). */
int tables_commit(struct tables *t, const struct transaction *tx, struct commit *ret,
		  struct error *err);

/* Replace everything by @whole (settled, additions only), keeping what clients' affinity was learned, unless
 * that is too much (TABLES_MAX_CARRIED). A table of a family that is off is deleted. After an error either
 * the tables before or all of @whole are in force; tables_reconcile() goes on from there. */
int tables_replace(struct tables *t, const struct transaction *whole, struct commit *ret,
		   struct error *err);

/* How the tables were found. */
enum tables_state {
	TABLES_EQUAL,    /* as wanted: nothing was sent */
	TABLES_ADOPTED,  /* our skeleton with other elements: the difference was sent */
	TABLES_REPLACED, /* none, another skeleton, or changed by somebody: all was sent */
};

/* Read the tables between two equal generations, compare them with @whole and send what is missing.
 * With more than TABLES_MAX_READ_BACK elements only the skeleton is compared and all of them are sent.
 * @ret_why: what was amiss, one line, valid until the next call. */
int tables_reconcile(struct tables *t, const struct transaction *whole,
		     enum tables_state *ret_state, const char **ret_why, struct commit *ret,
		     struct error *err);

/* Add the UDP frontends that the tables in the kernel have to @ret and settle it. Tables that are not
 * there, or are of another kind, have none. */
int tables_read_udp_frontends(struct tables *t, struct flows *ret, struct error *err);

/* Whether a comparison without a cause is worth its time: somebody committed since our last commit (to
 * which tables, the generation does not say), and the tables are small enough to be read. */
bool tables_worth_checking(struct tables *t);

/* How many clients' endpoints are remembered, of BINDINGS_MAX in each family, and how many could not be
 * because there was no room. Either may be NULL; the first one takes a while (affinity_count()). */
int tables_count_affinity(struct tables *t, size_t *ret_bindings, uint64_t *ret_refused,
			  struct error *err);

/* Delete the dispatch chains, and the sets and chains of network policy, that are there and that @rs does
 * not want; in a transaction of its own, later than the one that took their last use: before Linux
 * 6.2 a chain is still held for a moment (EBUSY). */
int tables_sweep(struct tables *t, const struct ruleset *rs, struct error *err);

#endif
