#include "object/pod-networks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "object/object.h"

static int prefixes_add(struct prefixes *all, const struct prefix *one)
{
	int r;

	r = ARRAY_RESERVE(all->items, all->n, all->capacity);
	if (r < 0)
		return r;
	all->items[all->n++] = *one;
	return 0;
}

/* The items of a comma list, the bad ones left out. */
static int prefixes_add_list(struct prefixes *all, const char *list)
{
	while (list) {
		size_t len = strcspn(list, ",");
		char text[PREFIX_TEXT_MAX] = "";
		struct prefix one;

		if (len < sizeof(text)) {
			memcpy(text, list, len);
			if (prefix_parse(text, &one) == 0 && prefixes_add(all, &one) < 0)
				return -ENOMEM;
		}
		list = list[len] ? list + len + 1 : NULL;
	}
	return 0;
}

/* kube-router's order: the first source that names a network is the only one. */
int prefixes_add_node(struct prefixes *all, const struct node *node)
{
	const struct key_values *annotations = &node->object.annotations;
	const char *single = key_values_get(annotations, "kube-router.io/pod-cidr");
	size_t before = all->n;
	struct prefix one;
	int r;

	if (single && prefix_parse(single, &one) == 0)
		return prefixes_add(all, &one);

	r = prefixes_add_list(all, key_values_get(annotations, "kube-router.io/pod-cidrs"));
	if (r < 0 || all->n > before)
		return r;

	for (size_t i = 0; r == 0 && i < node->n_pod_cidrs; i++)
		r = prefixes_add(all, &node->pod_cidrs[i]);
	return r;
}

void prefixes_free(struct prefixes *all)
{
	free(all->items);
	*all = (struct prefixes){ 0 };
}
