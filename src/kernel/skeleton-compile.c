#include <arpa/inet.h>
#include <errno.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "kernel/batch.h"
#include "kernel/netlink.h"
#include "kernel/skeleton-internal.h"
#include "ruleset/template.h"

#define STAGING_TABLE TABLE_NAME "-staging"

DEFINE_CLEANUP(struct nft_ctx, nft_ctx_free);

/* The first line is the cause; the others quote the template. */
static int nft_error(struct nft_ctx *nft, struct error *err)
{
	const char *text = nft_ctx_get_error_buffer(nft);
	int len = text ? (int)strcspn(text, "\n") : 0;

	return error_set(err, -EOPNOTSUPP, "nft: %.*s", len, text ? text : "");
}

static int nft_run(const char *text, struct error *err)
{
	_cleanup_(nft_ctx_freep) struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);

	if (!nft || nft_ctx_buffer_error(nft) != 0 || nft_ctx_buffer_output(nft) != 0)
		return error_set(err, -ENOMEM, "nft: out of memory");
	if (nft_run_cmd_from_buffer(nft, text) != 0)
		return nft_error(nft, err);
	return 0;
}

static int staging_delete(struct netlink *nl, uint8_t family, struct error *err)
{
	_cleanup_batch_ struct batch b = { 0 };

	batch_begin(&b, STAGING_TABLE, 0);
	batch_delete_table(&b, family);
	batch_end(&b);
	return batch_commit(&b, nl, NULL, err);
}

static int staging_load(uint8_t family, struct error *err)
{
	_cleanup_buf_ struct buf text = { 0 };

	template_print_skeleton(family, STAGING_TABLE, &text);
	if (buf_error(&text) < 0)
		return error_set(err, -ENOMEM, "template: out of memory");
	return nft_run(buf_text(&text), err);
}

int skeleton_compile(struct netlink *nl, uint8_t family, struct skeleton **ret, struct error *err)
{
	_cleanup_(skeleton_freep) struct skeleton *s = NULL;
	int r, deleted;

	r = staging_delete(nl, family, err); /* an earlier start may have been killed here */
	if (r < 0)
		return error_wrap(err, r, "compile the ruleset's skeleton");
	r = staging_load(family, err);
	if (r == 0)
		r = skeleton_read(nl, family, STAGING_TABLE, &s, err);
	deleted = staging_delete(nl, family, r < 0 ? NULL : err);
	if (r == 0)
		r = deleted;
	if (r < 0)
		return error_wrap(err, r, "compile the ruleset's skeleton (%s)",
				  family == AF_INET ? "IPv4" : "IPv6");

	*ret = TAKE_PTR(s);
	return 0;
}
