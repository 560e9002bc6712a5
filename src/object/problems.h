/* problems.h - telling a user of a problem once, and again only when it had gone and came back. */
#ifndef KUBE_NFT_OBJECT_PROBLEMS_H
#define KUBE_NFT_OBJECT_PROBLEMS_H

#include <stddef.h>
#include <stdint.h>

struct object;

/* Something that a user can act on. Valid during the call that tells of it. */
struct problem {
	const struct object *object; /* whose */
	/* For programs. Of a Service: ExternalAddressRefused, AddressConflict, SourceRangeIgnored,
	 * NoSourceAllowed, EndpointSkipped, TooManyEndpoints, ServiceTooLarge, ServiceNotRendered,
	 * FailedToStartServiceHealthcheck, SchedulerUnknown, SchedulerReplaced, AffinityIncomplete. Of a
	 * NetworkPolicy: PolicyNotUnderstood, PolicyTooLarge, PolicyNotRendered. Of the Node:
	 * ForeignChangeRepaired, ConnectionTrackingFull. */
	const char *reason;
	const char *text; /* for people: one line without a newline */
};

/* Told of each problem once while it lasts. */
typedef void (*problem_report_fn)(const struct problem *problem, void *userdata);

/* Of one object at a time: a thousand bad addresses in one Service need no thousand lines. */
#define PROBLEMS_MAX 16

/* What an object suffered from when it was last looked at. Owned by its state. */
struct problem_memory {
	uint64_t *hashes;
	size_t n;
};

/* The problems of the object that is being looked at. */
struct problems {
	problem_report_fn report;
	void *userdata;
	const struct object *object;
	const struct problem_memory *before;
	uint64_t hashes[PROBLEMS_MAX];
	size_t n;
};

/* @object may be NULL when it is gone: then there is nothing to add. */
void problems_begin(struct problems *p, const struct object *object,
		    const struct problem_memory *before);
/* NULL is fine: nobody wants to know. @reason is a literal (struct problem). */
void problems_add(struct problems *p, const char *reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Remember the problems in @memory. 0 or -ENOMEM. */
int problems_end(const struct problems *p, struct problem_memory *memory);

#endif
