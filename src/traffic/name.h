/* name.h - the Service port that an element's comment names. */
#ifndef KUBE_NFT_TRAFFIC_NAME_H
#define KUBE_NFT_TRAFFIC_NAME_H

struct arena;

/* None is NULL, and all hold letters, digits, spaces and "._:/-" only, whoever wrote the comment. */
struct traffic_name {
	const char *namespace; /* "": the comment is not one of ours; @name has all of it */
	const char *name;      /* "": there is no comment */
	const char *port;      /* "": it has no name */
};

/* Take "namespace/name:port" or "namespace/name" apart, into @arena; @comment may be NULL. A comment
 * that was too long has a hash at its end, which is then the end of @ret's last part. 0, -ENOMEM. */
int traffic_name_parse(const char *comment, struct arena *arena, struct traffic_name *ret);
/* By namespace, name, port. */
int traffic_name_cmp(const struct traffic_name *a, const struct traffic_name *b);

#endif
