/* command.h - the operator's commands: `kube-nft COMMAND [flags]`. */
#ifndef KUBE_NFT_COMMAND_COMMAND_H
#define KUBE_NFT_COMMAND_COMMAND_H

struct options;

/* A process's exit status. */
typedef int (*command_fn)(const struct options *o);

/* The command of that name, or NULL. */
command_fn command_find(const char *name);

/* kube-nft render: the whole ruleset of the node as nft text, to standard output. */
int command_render(const struct options *o);

/* kube-nft services: what this node's kernel has and has counted, to standard output. */
int command_services(const struct options *o);

/* kube-nft policies: which policies select which pod of this node, what they allow, what was refused. */
int command_policies(const struct options *o);

#endif
