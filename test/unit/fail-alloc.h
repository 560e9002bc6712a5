/* fail-alloc.h - make one chosen allocation of our code fail.
 *
 *     for (unsigned n = 1;; n++) {
 *             fail_alloc_at(n);
 *             r = thing_make();
 *             if (!fail_alloc_end())
 *                     break;
 *             assert_int_equal(r, -ENOMEM);
 *     }
 *
 * Only calls from our own objects are counted; the libraries' own go through.
 */
#ifndef KUBE_NFT_TEST_FAIL_ALLOC_H
#define KUBE_NFT_TEST_FAIL_ALLOC_H

#include <stdbool.h>

/* The @n-th allocation from now on fails, once; 0: none. */
void fail_alloc_at(unsigned n);
/* Whether it has failed by now; no allocation fails after this call. */
bool fail_alloc_end(void);
/* Until the matching fail_alloc_resume() no allocation is counted: what the test itself needs meanwhile. */
void fail_alloc_suspend(void);
void fail_alloc_resume(void);

#endif
