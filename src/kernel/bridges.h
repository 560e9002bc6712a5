/* bridges.h - pods of one node that share a bridge: the kernel shows their packets to our tables only when
 * it is told to (br_netfilter).
 */
#ifndef KUBE_NFT_KERNEL_BRIDGES_H
#define KUBE_NFT_KERNEL_BRIDGES_H

#include <stdbool.h>

struct error;

/* Switch it on for the families that are on, where it is off. -ENOENT: the kernel has no such switch, since
 * br_netfilter is not loaded; -EACCES, -EROFS, ...: it is off and can't be switched. @root: "/proc/sys", or
 * what stands for it in a test. */
int bridges_show_packets(const char *root, bool ipv4, bool ipv6, struct error *err);

#endif
