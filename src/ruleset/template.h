/* template.h - nft-templates/table.nft as text: the whole ruleset for people and for `nft -f`, or the
 * skeleton alone for the kernel module to have it compiled.
 *
 * The template is part of the program. What may stand in it is said at its top.
 */
#ifndef KUBE_NFT_RULESET_TEMPLATE_H
#define KUBE_NFT_RULESET_TEMPLATE_H

#include <stdint.h>

struct buf;
struct transaction;

#define TABLE_NAME "kube-nft"

/* The table of @family with the additions of the settled @whole in it. Same input, same bytes. */
void template_print(uint8_t family, const struct transaction *whole, struct buf *out);

/* The table of @family under another name, dormant and without elements. Every dispatch chain is there
 * once, as number 1, for a pattern. */
void template_print_skeleton(uint8_t family, const char *table, struct buf *out);

/* "kube-nft skeleton 0123456789abcdef": the comment of a table made of this template. */
#define TEMPLATE_COMMENT_MAX 64
const char *template_comment(char text[static TEMPLATE_COMMENT_MAX]);

#endif
