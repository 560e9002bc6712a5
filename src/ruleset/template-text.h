/* template-text.h - the bytes of nft-templates/table.nft. */
#ifndef KUBE_NFT_RULESET_TEMPLATE_TEXT_H
#define KUBE_NFT_RULESET_TEMPLATE_TEXT_H

#ifndef TEMPLATE_FILE
#define TEMPLATE_FILE "nft-templates/table.nft"
#endif

extern const char template_text[];     /* ends with a zero byte */
extern const char template_text_end[]; /* that zero byte */

#endif
