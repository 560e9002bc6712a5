#include "traffic/route.h"

#include <stddef.h>

static struct traffic_route choice_of(const struct element *e)
{
	struct traffic_route route = { .verdict = TRAFFIC_BALANCED, .n_endpoints = e->number };

	switch (e->verdict) {
	case VERDICT_RR:
	case VERDICT_LOCAL_RR:
		route.scheduler = TRAFFIC_RR;
		break;
	case VERDICT_SH_PORT:
	case VERDICT_LOCAL_SH_PORT:
		route.hashes_port = true;
		route.scheduler = TRAFFIC_SH;
		break;
	case VERDICT_SH:
	case VERDICT_LOCAL_SH:
		route.scheduler = TRAFFIC_SH;
		break;
	case VERDICT_DH:
	case VERDICT_LOCAL_DH:
		route.scheduler = TRAFFIC_DH;
		break;
	default:
		break;
	}
	return route;
}

struct traffic_route route_of(const struct element *e)
{
	if (verdict_is_choice(e->verdict))
		return choice_of(e);
	/* For clients who are remembered; how many there are, the others' verdict says. */
	if (verdict_is_jump(e->verdict))
		return (struct traffic_route){ .verdict = TRAFFIC_BALANCED };
	switch (e->verdict) {
	case VERDICT_REFUSE:
		return (struct traffic_route){ .verdict = TRAFFIC_REFUSED };
	case VERDICT_DROP:
		return (struct traffic_route){ .verdict = TRAFFIC_DROPPED };
	default:
		return (struct traffic_route){ .verdict = TRAFFIC_OTHER };
	}
}

/* With a Maglev table, and with no other list, an endpoint stands in many slots. */
void route_count_once(struct traffic_route *r, bool again)
{
	r->n_endpoints -= again && r->n_endpoints > 0;
	if (again && r->scheduler == TRAFFIC_SH)
		r->scheduler = TRAFFIC_MH;
}

/* It is the same for all clients. */
static const struct traffic_route *balanced_route(const struct traffic_frontend *f)
{
	return f->inside.verdict == TRAFFIC_BALANCED ? &f->inside : &f->outside;
}

const char *traffic_scheduler_word(const struct traffic_frontend *f)
{
	static const char *const words[] = {
		[TRAFFIC_RANDOM] = "random", [TRAFFIC_RR] = "rr", [TRAFFIC_SH] = "sh",
		[TRAFFIC_DH] = "dh",         [TRAFFIC_MH] = "mh",
	};
	const struct traffic_route *route = balanced_route(f);

	return route->verdict == TRAFFIC_BALANCED ? words[route->scheduler] : NULL;
}

bool traffic_hashes_port(const struct traffic_frontend *f)
{
	return balanced_route(f)->hashes_port;
}
