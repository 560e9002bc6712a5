/* reflector-fixture.h - a reflector of Services with a real client, a scripted server, and a log of what
 * it tells.
 *
 * One line each: "apply default/web@5" with the resourceVersion, "remove default/web",
 * "report WHERE: PROBLEM", "recovered WHERE: HOW", "synced services". The server's address is written as
 * SERVER. What waits for seconds in earnest waits for milliseconds here.
 */
#ifndef KUBE_NFT_TEST_REFLECTOR_FIXTURE_H
#define KUBE_NFT_TEST_REFLECTOR_FIXTURE_H

#include "api/access.h"
#include "base/buf.h"
#include "http-server.h"
#include "source/reflector-internal.h"

/* A Service of namespace default, as in a list: without saying what it is. */
#define ITEM(name, uid, version)                                                                  \
	"{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"default\",\"uid\":\"" uid           \
	"\",\"resourceVersion\":\"" version "\"},\"spec\":{\"clusterIP\":\"10.0.0.1\",\"ports\":" \
	"[{\"port\":80}]}}"
/* As ITEM(), but its port is none. */
#define BAD_ITEM(name, uid, version)                                                              \
	"{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"default\",\"uid\":\"" uid           \
	"\",\"resourceVersion\":\"" version "\"},\"spec\":{\"clusterIP\":\"10.0.0.1\",\"ports\":" \
	"[{\"port\":0}]}}"
#define PAGE(version, token, items)                                      \
	"{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":{" \
	"\"resourceVersion\":\"" version "\",\"continue\":\"" token "\"},\"items\":[" items "]}\n"
#define LIST(version, items) PAGE(version, "", items)
#define TWO LIST("9", ITEM("a", "u1", "3") "," ITEM("b", "u2", "4"))
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define BOOKMARK(version)                                                              \
	EVENT("BOOKMARK", "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{" \
			  "\"resourceVersion\":\"" version "\",\"creationTimestamp\":null}}")
#define INITIAL_END(version)                                                           \
	EVENT("BOOKMARK", "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{" \
			  "\"resourceVersion\":\"" version "\",\"annotations\":{"      \
			  "\"k8s.io/initial-events-end\":\"true\"}}}")
#define STATUS(code, reason, message, details)                                               \
	"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\"," \
	"\"message\":\"" message "\",\"reason\":\"" reason "\",\"details\":{" details "},"   \
	"\"code\":" #code "}"
#define GONE STATUS(410, "Expired", "too old resource version: 1 (9)", "")
#define TOO_LARGE                                                           \
	STATUS(504, "Timeout", "Too large resource version: 9, current: 1", \
	       "\"causes\":[{\"reason\":\"ResourceVersionTooLarge\",\"message\":\"Too large\"}]")

#define SERVICES "/api/v1/services"
#define WATCH_LIST_QUERY                                                                          \
	SERVICES "?watch=true&allowWatchBookmarks=true&timeoutSeconds=300&sendInitialEvents=true" \
		 "&resourceVersionMatch=NotOlderThan"
#define WATCH_QUERY(version) \
	SERVICES "?watch=true&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=" version

enum { BACKOFF_FIRST_MS = 2, BACKOFF_MAX_MS = 80, FOREVER_MS = 60 * 60 * 1000 };

struct reflected {
	struct loop *loop;
	struct http_server *server;
	struct api_access access;
	struct api_client *client;
	struct reflector *reflector;
	char ca_path[32]; /* of the access */
	struct buf log;
	int apply_error; /* what apply() returns, doing nothing */
};

int reflected_setup(void **state);
int reflected_teardown(void **state);

/* Start the reflector; @watch_list: by asking for one. */
void reflected_start(struct reflected *f, bool watch_list);
/* Start it without watch lists and answer its list, then take the request of the watch. Forgets the log. */
struct http_exchange *reflected_watch(struct reflected *f, const char *list);
/* The same; its answer has begun. */
struct http_exchange *reflected_stream(struct reflected *f, const char *list);
struct reflector_stats reflected_stats(const struct reflected *f);
/* The next request, which must be for @target. */
struct http_exchange *next_request(struct reflected *f, const char *target);
/* Its answer begins: a stream. */
struct http_exchange *next_stream(struct reflected *f, const char *target);
/* What was told since the last call; @expected comes from it or from turning the loop a while. */
void assert_reflected(struct reflected *f, const char *expected);
/* Give the client another CA, so that the requests that run are of no use, and take the one by which it was
 * led to see that. */
void reflected_renew(struct reflected *f);
/* Let @x send white space, and no end of it, until there is another request. */
void reflected_trickle(struct reflected *f, struct http_exchange *x);
/* The step of the back-off's latest delay; 0: there was none. */
void assert_backed_off(const struct reflected *f, uint64_t step_ms);

struct source_events reflected_events(struct reflected *f);

#define REFLECTED_TEST(test) \
	cmocka_unit_test_setup_teardown(test, reflected_setup, reflected_teardown)

#endif
