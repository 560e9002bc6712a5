/* batch.h - one nftables transaction as netlink messages.
 *
 * Everything between batch_begin() and batch_end() is committed together or not at all. The messages
 * are written one behind the other into one buffer, which netlink_commit() sends in one piece.
 */
#ifndef KUBE_NFT_KERNEL_BATCH_H
#define KUBE_NFT_KERNEL_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"

struct change;
struct error;
struct netlink;
struct nlmsghdr;

/* One more than fits: NFTA_SET_ELEM_LIST_ELEMENTS is an attribute, whose length has 16 bits. */
#define BATCH_MESSAGE_BYTES 65536

/* What a message is about, to name what is at fault: the index of its first change, or what
 * batch_about() said. */
struct batch_part {
	uint32_t sequence;
	size_t subject;
};

struct batch {
	struct buf buf;
	const char *table;
	uint32_t sequence;       /* of the next message */
	uint32_t first_sequence; /* of the begin message */
	struct batch_part *parts;
	size_t n_parts, cap_parts;
	size_t about; /* of the messages to come; with @is_about */
	bool is_about;
	int error; /* sticks: 0 or -ENOMEM */
};

/* A batch for tables of the name @table. With @generation not 0 the kernel refuses it (-ERESTART) when
 * its generation is another one. */
void batch_begin(struct batch *b, const char *table, uint32_t generation);
/* The messages to come are about tables of this name. */
void batch_table(struct batch *b, const char *table);
/* Packets pass it by until it is woken. */
void batch_add_dormant_table(struct batch *b, uint8_t family, const char *comment);
void batch_wake_table(struct batch *b, uint8_t family);
/* With all that is in it, whether it is there or not. */
void batch_delete_table(struct batch *b, uint8_t family);
/* A regular chain. */
void batch_add_chain_name(struct batch *b, uint8_t family, const char *name);
void batch_flush_chain(struct batch *b, uint8_t family, const char *name);
/* With its rules. */
void batch_delete_chain(struct batch *b, uint8_t family, const char *name);
/* With its elements. */
void batch_delete_set(struct batch *b, uint8_t family, const char *name);
/* The @n changes that are additions (or, with @add false, deletions) as element messages with at most
 * @per_message elements (0: as many as fit); those that went ahead are left out. They are sorted by set
 * and family. */
void batch_changes(struct batch *b, const struct change *changes, size_t n, bool add,
		   size_t per_message);
/* A message of any other kind: open it, put what belongs behind the table's name (at most
 * BATCH_MESSAGE_BYTES), close it. NULL when memory is short. */
struct nlmsghdr *batch_open(struct batch *b, uint16_t type, uint8_t family, uint16_t flags);
void batch_put_attrs(struct nlmsghdr *nlh, const void *attrs, size_t len);
void batch_close(struct batch *b, const struct nlmsghdr *nlh);
/* Elements in the form in which the kernel dumped them, to be added or (@add false) deleted. */
void batch_raw_elements(struct batch *b, uint8_t family, const char *set,
			const struct buf *elements, bool add);
void batch_end(struct batch *b);

/* The messages until batch_about_nothing() are about @subject, a number of the caller's. */
void batch_about(struct batch *b, size_t subject);
void batch_about_nothing(struct batch *b);

/* Send it. As netlink_commit(); @ret_subject (may be NULL): what the message at fault is about, or
 * SIZE_MAX when nobody said. */
int batch_commit(struct batch *b, struct netlink *nl, size_t *ret_subject, struct error *err);
size_t batch_size(const struct batch *b);
void batch_free(struct batch *b);

#define _cleanup_batch_ _cleanup_(batch_free)

#endif
