/* services-print.h - traffic as a table and as JSON. What is printed of names is safe by traffic/name.h. */
#ifndef KUBE_NFT_COMMAND_SERVICES_PRINT_H
#define KUBE_NFT_COMMAND_SERVICES_PRINT_H

#include <stddef.h>

struct buf;
struct traffic;

/* A line for each Service port, below it its frontends, below each its endpoints. Columns that do not fit
 * into @width are left out, from the right; 0: there is no limit. */
void services_print_table(const struct traffic *t, size_t width, struct buf *out);
/* The same as one JSON object, with nothing left out. */
void services_print_json(const struct traffic *t, struct buf *out);

#endif
