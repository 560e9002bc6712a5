/* learn-rule.h - the IPv6 pattern of the chain learn-affinity, built without nft's text.
 *
 * nft 1.0.6 lists `update @affinity { ip6 saddr . ... : ip6 daddr . th dport }` well but aborts when
 * it reads it: it sets aside one register of 16 bytes for the key of a map update (fixed in later
 * releases). The kernel has no such bound, so the rules of nft-templates/table.nft are made here.
 */
#ifndef KUBE_NFT_KERNEL_LEARN_RULE_H
#define KUBE_NFT_KERNEL_LEARN_RULE_H

struct batch;

/* Write the IPv6 chain learn-affinity-1 and its rules into @b. An error sticks to @b. */
void learn_rules_put(struct batch *b);

#endif
