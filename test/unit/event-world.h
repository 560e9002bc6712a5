/* event-world.h - a recorder of Events with a scripted server, and a clock that the test moves. */
#ifndef KUBE_NFT_TEST_EVENT_WORLD_H
#define KUBE_NFT_TEST_EVENT_WORLD_H

#include <jansson.h>
#include <stdint.h>

#include "api-fixture.h"
#include "api/events.h"
#include "base/buf.h"

#define EVENTS_PATH "/apis/events.k8s.io/v1/namespaces/default/events"
#define NS_PER_MS 1000000ULL
/* 2026-07-14T22:40:00Z */
#define START_NS 1784068800000000000ULL

struct event_world {
	struct api_world *api;
	struct event_recorder *rec;
	uint64_t now_ns[2]; /* realtime, monotonic */
	uint64_t tick_ns;   /* what each look at the monotonic clock takes */
	uint64_t answered;  /* requests */
	struct buf problems;
	char note[16]; /* of the last request */
};

/* So much later, by both clocks. */
void event_world_pass(struct event_world *w, uint64_t ms);
/* A recorder anew, of this instance. */
void event_world_record_as(struct event_world *w, const char *instance);
int event_world_setup(void **state);
int event_world_teardown(void **state);
/* Of the Service default/web. */
struct event event_of(const char *note);
/* An event_of(). */
void event_emit(struct event_world *w, const char *note);
/* The recorder has heard all that the server said. */
void event_wait_heard(struct event_world *w);
/* Answer the next request, whose body the caller then owns. */
json_t *event_take(struct event_world *w, const char *method, int status, const char *headers);
/* A field of an Event that has to be there. */
const char *event_text_at(const json_t *object, const char *field);
/* The next request is a new Event with @note, told @count times. */
void assert_created(struct event_world *w, const char *note, int count, int status);
/* The next request says that one was told @count times. */
void assert_counted(struct event_world *w, int count, int status);
/* There is no further request. */
void assert_silence(struct event_world *w);
/* What was reported since the last call. */
void assert_problems(struct event_world *w, const char *expected);

#define EVENT_TEST(test) \
	cmocka_unit_test_setup_teardown(test, event_world_setup, event_world_teardown)

#endif
