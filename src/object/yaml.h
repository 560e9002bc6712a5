/* yaml.h - YAML documents as JSON trees, by libyaml.
 *
 * The YAML 1.2 core schema: plain true, false, null, integers and floats are typed, all else is a
 * string (so are yes, no, on and off). Refused: aliases (an anchor alone does no harm), tags, %
 * directives, merge keys, duplicate keys, keys that are not strings, what JSON can't hold, more than
 * OBJECT_MAX_BYTES or OBJECT_MAX_DEPTH in one document.
 */
#ifndef KUBE_NFT_OBJECT_YAML_H
#define KUBE_NFT_OBJECT_YAML_H

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"

struct error;
struct yaml_reader;

/* Read documents one after the other from @text, which must outlive the reader. */
int yaml_reader_new(const char *text, size_t len, struct yaml_reader **ret, struct error *err);
struct yaml_reader *yaml_reader_free(struct yaml_reader *r); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct yaml_reader, yaml_reader_free);

/* The next document: 1 and a tree that the caller owns (NULL tree for an empty document), 0 at the end.
 * @ret_line: first line of the document, from 1; set on errors too, where it is the line at fault.
 * On -EINVAL or -E2BIG the reader goes on behind the next "---" line; call again. -ENOMEM. */
int yaml_reader_next(struct yaml_reader *r, json_t **ret, unsigned *ret_line, struct error *err);

#endif
