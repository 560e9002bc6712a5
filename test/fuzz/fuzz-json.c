/* fuzz-json.c - JSON text to an object; and what YAML reads of the same tree is the same tree. */
#include "object-check.h"

#include "base/cleanup.h"
#include "object/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* YAML knows less than JSON: some characters and long keys it refuses. */
static void yaml_agrees(const json_t *root)
{
	_cleanup_(yaml_reader_freep) struct yaml_reader *reader = NULL;
	_cleanup_free_ char *text = json_dumps(root, JSON_COMPACT);
	json_t *again = NULL;
	unsigned line;

	check(text && yaml_reader_new(text, strlen(text), &reader, NULL) == 0);
	if (yaml_reader_next(reader, &again, &line, NULL) == 1)
		check(json_equal(root, again));
	json_decref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct error err = { 0 };
	json_t *root = NULL;
	int r = json_parse((const char *)data, len, &root, &err);

	if (r < 0) {
		check(!root);
		error_check(&err, r);
		return 0;
	}
	tree_check(root);
	yaml_agrees(root);
	json_decref(root);
	return 0;
}
