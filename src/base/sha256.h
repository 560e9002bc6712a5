/* sha256.h - FIPS 180-4: names made of what tenants write, where somebody might gain by a collision. */
#ifndef KUBE_NFT_BASE_SHA256_H
#define KUBE_NFT_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32 };

void sha256(const void *data, size_t len, uint8_t ret[static SHA256_BYTES]);

#endif
