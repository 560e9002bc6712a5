#include "proxy/slots.h"

#include <stdbool.h>
#include <string.h>

#include "base/mix.h"

/* Targets and slots have hashes. Slot 0 takes the target whose hash is nearest to its own, slot 1 the
 * nearest of those that are left, and so on; near means a small XOR, so each bit from the top decides
 * between two halves, unless only one of them has a target left. Take one target out: the slot that
 * had it takes the next nearest, the slot that had that one another, and so on. Each time there are
 * fewer slots to come, and a later one wants the target in question with a chance of about 1/m when
 * m targets are left: that makes a chain of about 1/n + ... + 1/2 + 1 rows.
 *
 * All slots go down the bits together: at each bit they part in their order, as many to either half as
 * it has targets. */

enum { HASH_BITS = 64 };

uint64_t target_hash(const uint8_t addr[static 16], uint16_t port)
{
	return mix_addr(addr, port);
}

static uint64_t slot_hash(uint32_t slot)
{
	return mix64(0x736c6f7473 + slot * 0x9e3779b97f4a7c15);
}

int target_cmp(const struct target *a, const struct target *b)
{
	int c;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	c = memcmp(a->addr, b->addr, sizeof(a->addr));
	return c ? c : (int)a->port - (int)b->port;
}

static bool hash_bit(uint64_t hash, unsigned bit)
{
	return hash >> (HASH_BITS - 1 - bit) & 1;
}

/* How many of the sorted targets, alike in the bits before, have a 0 here. */
static size_t targets_zero(const struct target *sorted, size_t n, unsigned bit)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (hash_bit(sorted[middle].hash, bit))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Part @n slots, keeping their order: @n_zero go to the front, those with a 0 here before others. */
static void slots_part(uint32_t *slots, size_t n, size_t n_zero, unsigned bit, uint32_t *scratch)
{
	size_t zeros = 0, ones = 0;

	for (size_t i = 0; i < n; i++) {
		bool one = hash_bit(slot_hash(slots[i]), bit);

		if (one ? ones < n - n_zero : zeros == n_zero)
			scratch[ones++] = slots[i];
		else
			slots[zeros++] = slots[i];
	}
	memcpy(slots + n_zero, scratch, ones * sizeof(scratch[0]));
}

static void slots_descend(const struct target *sorted, size_t n, unsigned bit, uint32_t *slots,
			  uint32_t *scratch, struct target *ret)
{
	size_t n_zero = 0;

	for (; n > 1 && bit < HASH_BITS; bit++) {
		n_zero = targets_zero(sorted, n, bit);
		if (n_zero > 0 && n_zero < n)
			break;
	}
	if (n <= 1 || bit == HASH_BITS) { /* one, or equal hashes: in the order of target_cmp() */
		for (size_t i = 0; i < n; i++)
			ret[slots[i]] = sorted[i];
		return;
	}
	slots_part(slots, n, n_zero, bit, scratch);
	slots_descend(sorted, n_zero, bit + 1, slots, scratch, ret);
	slots_descend(sorted + n_zero, n - n_zero, bit + 1, slots + n_zero, scratch, ret);
}

void slots_assign(const struct target *sorted, size_t n, uint32_t *scratch, struct target *ret)
{
	for (size_t i = 0; i < n; i++)
		scratch[i] = (uint32_t)i;
	slots_descend(sorted, n, 0, scratch, scratch + n, ret);
}

/* Each target has a walk of its own over all slots, from some slot on in steps of some length. They take
 * turns: whose turn it is goes on to the next slot of its walk that nobody has. */
void maglev_assign(const struct target *sorted, size_t n, uint32_t *scratch,
		   uint16_t ret[static MAGLEV_SLOTS])
{
	uint32_t *at = scratch, *step = scratch + n;
	size_t left = MAGLEV_SLOTS;

	memset(ret, 0xff, MAGLEV_SLOTS * sizeof(*ret));
	for (size_t i = 0; i < n; i++) {
		at[i] = (uint32_t)(sorted[i].hash % MAGLEV_SLOTS);
		step[i] = (uint32_t)(mix64(sorted[i].hash) % (MAGLEV_SLOTS - 1)) + 1;
	}
	for (size_t i = 0; left > 0; i = i + 1 < n ? i + 1 : 0, left--) {
		while (ret[at[i]] != UINT16_MAX)
			at[i] = (at[i] + step[i]) % MAGLEV_SLOTS;
		ret[at[i]] = (uint16_t)i;
	}
}

size_t targets_slots(const struct target_list *list)
{
	return list->n_slots ? list->n_slots : list->n;
}

const struct target *targets_at(const struct target_list *list, size_t slot)
{
	return &list->items[list->n_slots ? list->slots[slot] : slot];
}
