#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/client.h"
#include "api/status.h"
#include "base/loop.h"
#include "object/decode.h"
#include "source/reflector-internal.h"

/* From here on nothing that the request says counts. Returns what ends the call. */
static int request_judge(struct request *q, enum outcome outcome)
{
	q->judged = true;
	q->outcome = outcome;
	return -ECANCELED;
}

static int request_fail(struct reflector *r, int rc)
{
	struct request *q = &r->request;

	if (rc == -ENOMEM)
		error_set(&q->why, rc, "out of memory");
	else if (rc == -E2BIG)
		error_set(&q->why, rc, "more than %zu objects", r->limits.max_objects);
	else
		error_errno(&q->why, -rc, "the receiver failed");
	return request_judge(q, OUTCOME_LOCAL);
}

bool request_went_well(const struct reflector *r)
{
	const struct request *q = &r->request;

	return r->phase == PHASE_WATCH &&
	       (q->settled || q->moves != r->moves ||
		(q->head_us && monotonic_us() - q->head_us >= r->limits.watch_short_ms * 1000));
}

/* The server ended the watch, or we did. */
static int watch_end(struct reflector *r)
{
	struct request *q = &r->request;
	bool well = r->phase == PHASE_WATCH_LIST || request_went_well(r);

	error_set(&q->why, -EIO, "ends at once");
	return request_judge(q, well ? OUTCOME_END : OUTCOME_SHORT);
}

/* BOOKMARK with the annotation: all objects of now have been sent. */
static bool bookmark_ends_initial(const struct frame *frame)
{
	json_auto_t *root = NULL;
	const json_t *annotations;
	const char *end;

	if (frame->too_big || json_parse(frame->text, frame->len, &root, NULL) < 0)
		return false;
	annotations = json_object_get(json_object_get(root, "metadata"), "annotations");
	end = json_string_value(json_object_get(annotations, "k8s.io/initial-events-end"));
	return end && strcmp(end, "true") == 0;
}

static int initial_bookmark(struct reflector *r, const struct frame *frame)
{
	int rc;

	/* A server that knows of watch lists sends no other bookmark before the end. */
	if (!bookmark_ends_initial(frame) || !*frame->resource_version)
		return watch_end(r);
	rc = reflector_listed(r, frame->resource_version);
	if (rc < 0)
		return rc;
	reflector_settled(r);
	(void)loop_timer_arm(r->deadline, r->request.watch_ms);
	return 0;
}

/* An event before the end of the initial objects. Among them there may be what became of some meanwhile:
 * that stands instead of what came before. */
static int initial_event(struct reflector *r, const struct frame *frame)
{
	bool added = strcmp(frame->type, "ADDED") == 0;
	bool modified = strcmp(frame->type, "MODIFIED") == 0;

	if (strcmp(frame->type, "BOOKMARK") == 0)
		return initial_bookmark(r, frame);
	if (modified || strcmp(frame->type, "DELETED") == 0)
		staging_drop(r, frame);
	return added || modified ? staging_add(r, frame) : 0;
}

static int watch_event(struct reflector *r, const struct frame *frame)
{
	int rc = 0;

	if (strcmp(frame->type, "ADDED") == 0 || strcmp(frame->type, "MODIFIED") == 0)
		rc = reflector_tell(r, frame);
	else if (strcmp(frame->type, "DELETED") == 0)
		reflector_tell_gone(r, frame);
	else if (strcmp(frame->type, "BOOKMARK") != 0)
		return 0;
	if (rc == 0)
		reflector_move(r, frame->resource_version);
	return rc;
}

static int error_event(struct reflector *r, const struct frame *frame)
{
	struct request *q = &r->request;
	enum outcome outcome = outcome_read(q, frame->text, frame->len);

	/* No watch list is worth waiting for while lists are answered. */
	if (r->phase == PHASE_WATCH_LIST && outcome == OUTCOME_SERVER_ERROR)
		outcome = OUTCOME_REFUSED;
	return request_judge(q, outcome);
}

static int on_event(const struct frame *frame, void *userdata)
{
	struct reflector *r = userdata;
	int rc;

	r->stats.events++;
	if (strcmp(frame->type, "ERROR") == 0)
		return error_event(r, frame);
	if (r->phase == PHASE_WATCH_LIST)
		rc = initial_event(r, frame);
	else
		rc = watch_event(r, frame);
	return rc < 0 && !r->request.judged ? request_fail(r, rc) : rc;
}

static int on_item(const struct frame *frame, void *userdata)
{
	struct reflector *r = userdata;
	int rc = staging_add(r, frame);

	return rc < 0 ? request_fail(r, rc) : 0;
}

static int on_head(const struct api_head *head, void *userdata)
{
	struct reflector *r = userdata;
	struct request *q = &r->request;

	q->status = head->status;
	q->retry_after_ms = head->retry_after_ms;
	q->head_us = r->stats.last_heard_us = monotonic_us();
	if (q->status != 200)
		return loop_timer_arm(r->deadline, r->limits.refusal_ms);
	if (strcmp(head->content_type, "application/json") != 0) {
		error_set(&q->why, -EPROTO, "the answer is \"%.64s\", not JSON",
			  head->content_type);
		return request_judge(q, OUTCOME_GARBAGE);
	}
	if (r->phase == PHASE_WATCH_LIST)
		return loop_timer_arm(r->deadline, r->limits.initial_quiet_ms);
	if (r->phase == PHASE_WATCH)
		return loop_timer_arm(r->deadline, r->limits.watch_short_ms);
	return 0;
}

static int on_body(const char *data, size_t len, void *userdata)
{
	struct reflector *r = userdata;
	struct request *q = &r->request;
	int rc;

	r->stats.last_heard_us = monotonic_us();
	if (q->status != 200) {
		if (q->refusal.len < STATUS_MAX_BYTES)
			buf_append(&q->refusal, data, len);
		return 0;
	}
	rc = frames_push(q->frames, data, len, &q->why);
	if (rc < 0 && !q->judged)
		return request_judge(q, rc == -ENOMEM ? OUTCOME_LOCAL : OUTCOME_GARBAGE);
	return rc;
}

/* Another page follows. Servers may send empty ones, but not for ever. */
static int page_follow(struct reflector *r, const char *token)
{
	struct staging *s = &r->staging;

	if (++s->n_pages >= r->limits.max_pages) {
		error_set(&r->request.why, -EPROTO, "more than %u pages", r->limits.max_pages);
		return request_judge(&r->request, OUTCOME_GARBAGE);
	}
	s->token = strdup(token);
	return s->token ? 0 : request_fail(r, -ENOMEM);
}

static void page_take(struct reflector *r, const struct list_head *head)
{
	struct staging *s = &r->staging;
	bool first = !*s->version;
	int rc;

	if (first)
		snprintf(s->version, sizeof(s->version), "%s", head->resource_version);
	free(s->token);
	s->token = NULL;
	if (*head->continue_token) {
		/* A list of any version comes whole from the watch cache, if there is one. */
		r->paged |= first && !*r->version && !r->version_lost;
		(void)page_follow(r, head->continue_token);
		return;
	}
	rc = reflector_listed(r, s->version);
	if (rc < 0)
		request_fail(r, rc);
}

static void page_end(struct reflector *r)
{
	struct request *q = &r->request;
	struct list_head head = frames_list_head(q->frames);
	char kind[sizeof("NetworkPolicyList")];

	snprintf(kind, sizeof(kind), "%sList", kind_name(r->config.kind));
	if (strcmp(head.kind, kind) == 0 && *head.resource_version &&
	    strlen(head.resource_version) < VERSION_BYTES) {
		page_take(r, &head);
	} else {
		error_set(&q->why, -EPROTO, "the answer is no %s with a resourceVersion", kind);
		request_judge(q, OUTCOME_GARBAGE);
	}
}

/* The answer is there whole. It is not judged when it is a page of the list, as wanted. */
static void answer_end(struct reflector *r)
{
	struct request *q = &r->request;

	if (q->status != 200 && buf_error(&q->refusal) < 0)
		request_fail(r, -ENOMEM);
	else if (q->status != 200)
		request_judge(q, outcome_read(q, buf_text(&q->refusal), q->refusal.len));
	else if (r->phase != PHASE_LIST)
		watch_end(r);
	else if (frames_end(q->frames, &q->why) < 0)
		request_judge(q, OUTCOME_GARBAGE);
	else
		page_end(r);
}

/* The call failed, and that by itself. */
static void answer_broken(struct reflector *r, int rc, const struct error *err)
{
	struct request *q = &r->request;
	enum outcome outcome = OUTCOME_CUT;

	if (rc == -ENOMEM)
		outcome = OUTCOME_LOCAL;
	else if (rc == -ESTALE)
		outcome = OUTCOME_STALE;
	else if (q->status != 200)
		outcome = OUTCOME_CONNECTION;
	else if (r->phase == PHASE_WATCH && !request_went_well(r))
		outcome = OUTCOME_SHORT;
	q->why = *err;
	request_judge(q, outcome);
}

static void on_done(int rc, const struct error *err, void *userdata)
{
	struct reflector *r = userdata;
	struct request *q = &r->request;

	q->call = NULL;
	(void)loop_timer_disarm(r->deadline);
	if (!q->judged && rc < 0)
		answer_broken(r, rc, err);
	else if (!q->judged)
		answer_end(r);
	if (q->judged)
		reflector_ended(r);
	else
		(void)loop_timer_arm(r->retry, 0);
}

static uint64_t left_ms(uint64_t since_us, uint64_t limit_ms)
{
	uint64_t passed_ms = (monotonic_us() - since_us) / 1000;

	return passed_ms < limit_ms ? limit_ms - passed_ms : 0;
}

/* How much longer the server may go on like this. It was told when to end a watch; before its end a watch
 * list may neither fall silent nor trickle for ever. */
static uint64_t request_left_ms(const struct reflector *r)
{
	const struct request *q = &r->request;
	uint64_t quiet_ms, whole_ms;

	if (r->phase == PHASE_WATCH)
		return left_ms(q->head_us, q->watch_ms);
	quiet_ms = left_ms(r->stats.last_heard_us, r->limits.initial_quiet_ms);
	whole_ms = left_ms(q->head_us, r->limits.list_ms);
	return quiet_ms < whole_ms ? quiet_ms : whole_ms;
}

int request_deadline(void *userdata)
{
	struct reflector *r = userdata;
	struct request *q = &r->request;
	uint64_t wait_ms = q->status == 200 ? request_left_ms(r) : 0;

	if (q->status == 200 && r->phase == PHASE_WATCH && !q->settled)
		reflector_settled(r);
	if (wait_ms > 0)
		return loop_timer_arm(r->deadline, wait_ms);
	q->call = api_call_cancel(q->call);
	/* As if the body ended here. */
	answer_end(r);
	reflector_ended(r);
	return 0;
}

static int request_call(struct reflector *r)
{
	bool list = r->phase == PHASE_LIST;
	const struct api_handlers handlers = {
		.head = on_head, .body = on_body, .done = on_done, .userdata = r
	};
	struct request *q = &r->request;
	_cleanup_buf_ struct buf path = { 0 };
	struct api_request request = { .method = API_GET };
	int rc;

	request_path(r, &path);
	rc = buf_error(&path);
	if (rc == 0)
		rc = frames_new(list ? FRAMES_LIST : FRAMES_WATCH, list ? on_item : on_event, r,
				&q->frames);
	if (rc < 0)
		return request_fail(r, rc);
	request.path = buf_text(&path);
	request.uncompressed = !list;
	request.idle_timeout_ms = list ? 0 : UINT64_MAX;
	request.total_timeout_ms = list ? r->limits.list_ms : 0;
	rc = api_call(r->client, &request, &handlers, &q->call, &q->why);
	return rc < 0 ? request_judge(q, OUTCOME_LOCAL) : 0;
}

void request_free(struct request *q)
{
	api_call_cancel(q->call);
	frames_free(q->frames);
	buf_free(&q->refusal);
	*q = (struct request){ 0 };
}

void request_start(struct reflector *r)
{
	request_free(&r->request);
	r->request.moves = r->moves;
	if (r->phase == PHASE_WATCH)
		r->stats.watches++;
	else
		r->stats.lists++;
	if (request_call(r) < 0)
		reflector_ended(r);
}
