#include "access-fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/secret.h"

const char *config_text(struct config c)
{
	static struct buf text;

	buf_reset(&text);
	buf_printf(&text,
		   "clusters: [{name: c, cluster: {%s}}]\n"
		   "users: [{name: u, user: {%s}}]\n"
		   "%s\n",
		   c.cluster ? c.cluster : SERVER, c.user ? c.user : "",
		   c.rest ? c.rest :
			    "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
			    "current-context: x");
	return buf_text(&text);
}

int config_parse(const char *text, const char *master, struct api_access **ret, struct error *err)
{
	int r;

	*err = (struct error){ 0 };
	*ret = NULL;
	r = access_parse_kubeconfig(text, strlen(text), "/etc/kube", master, ret, err);
	assert_int_equal(r < 0, *ret == NULL);
	assert_int_equal(r, err->code);
	assert_null(strstr(err->message, "canary"));
	assert_null(strstr(err->message, CANARY_BASE64));
	return r;
}

struct api_access *config_accept_with(struct config c, const char *master)
{
	struct api_access *a;
	struct error err;

	if (config_parse(config_text(c), master, &a, &err) < 0)
		fail_msg("%s", err.message);
	return a;
}

struct api_access *config_accept(struct config c)
{
	return config_accept_with(c, NULL);
}

void config_refuse_text(const char *text, int code, const char *sentence)
{
	struct api_access *a;
	struct error err;

	assert_int_equal(config_parse(text, NULL, &a, &err), code);
	assert_string_equal(err.message, sentence);
}

void config_refuse(struct config c, const char *sentence)
{
	config_refuse_text(config_text(c), -EINVAL, sentence);
}

void assert_secret(const struct secret *s, const char *text)
{
	size_t len;

	assert_non_null(s);
	assert_string_equal(secret_reveal(s, &len), text);
	assert_int_equal(len, strlen(text));
}
