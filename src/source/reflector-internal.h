/* reflector-internal.h - what the files of the reflector share.
 *
 *                         .--- the end of the initial objects ---.
 *                         |                                      v
 *     start ---> [watch list] --refused--> [list] --whole--> [watch] <--ended: resumed--.
 *                                            ^                  |  '--------------------'
 *                                            '-- gone too far --'
 *
 * reflector.c decides what comes next, reflector-path.c words the request, reflector-request.c asks and reads
 * the answer, reflector-outcome.c says what an answer means, reflector-objects.c tells objects: at once, or a
 * whole list together.
 */
#ifndef KUBE_NFT_SOURCE_REFLECTOR_INTERNAL_H
#define KUBE_NFT_SOURCE_REFLECTOR_INTERNAL_H

#include "base/backoff.h"
#include "base/buf.h"
#include "base/error.h"
#include "source/frames.h"
#include "source/known.h"
#include "source/reflector.h"
#include "source/source.h"

struct api_head;

enum {
	VERSION_BYTES = 256, /* a resourceVersion with its zero; opaque, of 20 digits so far */
};

enum phase { PHASE_WATCH_LIST, PHASE_LIST, PHASE_WATCH, PHASE_COUNT };

/* How a request ended, or what a watch said in an ERROR event. */
enum outcome {
	OUTCOME_END,   /* whole, whatever it was */
	OUTCOME_SHORT, /* a watch that ended at once and told nothing new */
	OUTCOME_CUT,   /* broke off after it had begun well */
	OUTCOME_STALE, /* the client has other credentials */
	OUTCOME_EXPIRED,
	OUTCOME_TOO_LARGE, /* the server has not yet seen our resourceVersion */
	OUTCOME_THROTTLED,
	OUTCOME_UNKNOWN_USER,
	OUTCOME_FORBIDDEN,
	OUTCOME_REFUSED, /* the request as such */
	OUTCOME_SERVER_ERROR,
	OUTCOME_CONNECTION,
	OUTCOME_GARBAGE,
	OUTCOME_LOCAL, /* we could not take it: memory, a limit */
	OUTCOME_COUNT,
};

/* Shortened by tests. */
struct reflector_limits {
	uint32_t watch_min_s, watch_max_s;
	uint64_t watch_margin_ms;  /* behind the end that was asked for, before we end it */
	uint64_t watch_short_ms;   /* a watch that lasts longer has begun well */
	uint64_t initial_quiet_ms; /* of a watch list, before its end is given up */
	uint64_t list_ms;          /* for a page, or for a watch list up to its end */
	uint64_t refusal_ms;       /* to hear why we are refused */
	uint64_t hurry_ms;         /* between requests that need not wait for the back-off */
	uint64_t patience_ms;      /* with a server whose watches fail, before a list is tried */
	uint64_t retry_after_max_ms;
	size_t max_objects;
	unsigned max_pages;
};

/* The request that runs, or the one that ended last. */
struct request {
	struct api_call *call; /* NULL: none runs */
	struct frames *frames;
	int status; /* 0: no answer yet */
	uint64_t retry_after_ms;
	struct buf refusal; /* the body of an answer that is not 200 */
	uint64_t watch_ms;  /* how long it was asked to last */
	uint64_t head_us;   /* when the answer began */
	uint64_t moves;     /* of the reflector, when it started */
	bool settled;       /* a watch that has begun well */
	bool judged;        /* @outcome and @why stand already */
	enum outcome outcome;
	struct error why;
};

/* A list that is being read: nothing of it is told before it is whole. */
struct staging {
	struct object **objects; /* those that differ from what was told; holes are NULL */
	size_t n, capacity;
	size_t n_items; /* all that were in it */
	unsigned n_pages;
	char *token; /* of the next page; NULL: the first */
	char version[VERSION_BYTES];
};

/* One outcome over and over, with nothing good in between. */
struct row {
	enum outcome outcome;
	unsigned n;
	uint64_t since_us;
};

struct reflector {
	struct reflector_config config;
	struct source_events events;
	void (*synced)(enum object_kind kind, void *userdata);
	void *userdata; /* of @synced */
	struct reflector_limits limits;

	enum phase phase;
	bool no_watch_list;          /* the server has refused one */
	bool paged;                  /* it pages even what it could give at once */
	bool version_lost;           /* to be listed without regard to @version */
	char version[VERSION_BYTES]; /* how far we are; "": nowhere */
	uint64_t moves;              /* of @version */

	struct table known;
	uint32_t list;         /* the number of the latest one */
	uint32_t unnamed_list; /* since which a bad object without a name was reported */
	struct staging staging;

	struct api_client *client;
	struct request request;
	struct loop_source *retry, *deadline; /* timers */
	struct backoff backoff;
	uint64_t hurried_us; /* when the latest request was made that did not wait for it */
	uint64_t random;

	struct row row;
	uint32_t troubles; /* bits of those that were told; 0: all is well */
	uint64_t trouble_since_us;

	struct reflector_stats stats;
};

/* Start a request of the phase that @r is in. What becomes of it is told by reflector_ended(). */
void request_start(struct reflector *r);
/* What to ask for in the phase that @r is in. Chooses how long a watch is to last. */
void request_path(struct reflector *r, struct buf *path);
/* The timer of a watch: look whether it goes on. */
int request_deadline(void *reflector);
void request_free(struct request *q);
/* A watch has told news, or has lasted. */
bool request_went_well(const struct reflector *r);

/* The request is over, @r->request.outcome says how: decide what is next. */
void reflector_ended(struct reflector *r);
/* The list is whole, as of @version: tell it, and watch from there. Errors: as reflector_tell(). */
int reflector_listed(struct reflector *r, const char *version);
/* The watch goes well. */
void reflector_settled(struct reflector *r);
/* This is how far we are. */
void reflector_move(struct reflector *r, const char *version);

/* What the server means by the Status @text, the body of an answer other than 200 or an ERROR event.
 * Writes sentence and delay to @q. */
enum outcome outcome_read(struct request *q, const char *text, size_t len);

/* An object as it is now, that @frame holds: tell it, unless that was done. 0 also when it is bad, which
 * is reported; -ENOMEM, -E2BIG (too many objects), or what the receiver returned. */
int reflector_tell(struct reflector *r, const struct frame *frame);
/* The object of @frame is gone. */
void reflector_tell_gone(struct reflector *r, const struct frame *frame);

/* A list begins, or begins again. */
void staging_begin(struct reflector *r);
/* As reflector_tell(), when the list is whole. */
int staging_add(struct reflector *r, const struct frame *frame);
/* It was in the list and is gone. */
void staging_drop(struct reflector *r, const struct frame *frame);
/* The list is whole: tell what went, then what is new or changed. */
int staging_commit(struct reflector *r);
void staging_free(struct staging *s);

#endif
