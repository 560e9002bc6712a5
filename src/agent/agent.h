/* agent.h - the agent's life: start, follow, sync, stop. */
#ifndef KUBE_NFT_AGENT_AGENT_H
#define KUBE_NFT_AGENT_AGENT_H

struct error;
struct options;

/* Run until SIGTERM or SIGINT. The tables stay as they are, whatever ends it. Returns 0 or a negative
 * errno. */
int agent_run(const struct options *o, struct error *err);

#endif
