/* fuzz-yaml.c - YAML text to objects; and what JSON reads of the same tree is the same tree. */
#include "object-check.h"

#include "base/cleanup.h"
#include "object/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void json_agrees(const json_t *root)
{
	_cleanup_free_ char *text = json_dumps(root, JSON_COMPACT);
	json_t *again = NULL;

	/* JSON has no document that is a scalar. */
	if (!text)
		return;
	check(json_parse(text, strlen(text), &again, NULL) == 0);
	check(json_equal(root, again));
	json_decref(again);
}

static size_t lines_count(const char *text, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_(yaml_reader_freep) struct yaml_reader *reader = NULL;
	const char *text = (const char *)data;
	unsigned line = 0, previous = 0;

	check(yaml_reader_new(text, len, &reader, NULL) == 0);
	for (size_t n = 0;; n++, previous = line) {
		struct error err = { 0 };
		json_t *root = NULL;
		int r = yaml_reader_next(reader, &root, &line, &err);

		if (r == 0)
			return 0;
		check(n <= len && line >= 1 && line >= previous && line <= lines_count(text, len));
		if (r < 0) {
			check(!root);
			error_check(&err, r);
			continue;
		}
		tree_check(root);
		json_agrees(root);
		json_decref(root);
	}
}
