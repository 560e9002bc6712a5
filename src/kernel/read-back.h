/* read-back.h - the elements of our tables, as the kernel has them. */
#ifndef KUBE_NFT_KERNEL_READ_BACK_H
#define KUBE_NFT_KERNEL_READ_BACK_H

#include <stddef.h>

struct dump;
struct error;
struct tables;
struct transaction;

enum read_back_limit {
	/* Sets of fewer elements are dumped whole, which costs with the square of their size; of larger
	 * ones each element of @whole is asked for by its key. At this size both take as long. */
	READ_BACK_BY_KEY_FROM = 10000,
};

/* Append the elements of the table of family @f (0 or 1, as in struct tables) to @ret. @whole: what is
 * wanted, settled. Elements that can't be ours are counted in @ret_strange. -ENOENT: a set went away
 * meanwhile. */
int read_back(struct tables *t, size_t f, const struct transaction *whole, struct dump *ret,
	      size_t *ret_strange, struct error *err);

#endif
