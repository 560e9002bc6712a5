/* yaml-scalar.h - what a YAML scalar is: the core schema of YAML 1.2 (chapter 10.3). */
#ifndef KUBE_NFT_OBJECT_YAML_SCALAR_H
#define KUBE_NFT_OBJECT_YAML_SCALAR_H

#include <jansson.h>
#include <stdbool.h>
#include <yaml.h>

struct error;

/* Quoted and block scalars are strings, and plain ones that are nothing else. */
bool yaml_scalar_is_string(const yaml_event_t *event);

/* The scalar as a JSON value that the caller owns. -EINVAL for what JSON can't hold: numbers beyond 64
 * bits, infinity, "not a number", a zero byte. -ENOMEM. */
int yaml_scalar_build(const yaml_event_t *event, json_t **ret, struct error *err);

#endif
