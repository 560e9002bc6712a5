/* output.h - what commands print. */
#ifndef KUBE_NFT_COMMAND_OUTPUT_H
#define KUBE_NFT_COMMAND_OUTPUT_H

struct buf;
struct error;

/* Write all of @text to standard output. */
int output_write(const struct buf *text, struct error *err);

/* Append @cells to @out in columns: lines of as many cells with tabs between. The first column is flush
 * left, the last one as it is, those between flush right. An error of @cells becomes @out's. */
void output_columns(const struct buf *cells, struct buf *out);

#endif
