/*
 * Messages on their first receive.
 *
 * Most messages are received once and then deleted. That receive writes nothing into their rows,
 * which would be to write them all over again with their contents: one row of `flights` stands for
 * all that it took, which lie together in the lane. Only what is not deleted before its time is
 * over, or gets another time, lands: it becomes timed, with what the flight knew of it.
 *
 * So a message that is not timed is in a flight when it lies below its queue's fresh_id, and was
 * never received when it does not. What flights there are, and how many messages are left of each,
 * is in memory, too; a flight goes with its last message.
 */
#include "bunshin/error.h"
#include "localq/store_private.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 64

static bool is_due(const struct store_flight *flight, int64_t from_ms, int64_t until_ms)
{
	return flight->left > 0 && flight->visible_ms >= from_ms && flight->visible_ms <= until_ms;
}

/* The one that ends first within the times; NULL: none does. */
static struct store_flight *first_due(
	const struct store_flights *flights, int64_t from_ms, int64_t until_ms)
{
	struct store_flight *first = NULL;

	for (size_t i = flights->first; i < flights->end; i++) {
		struct store_flight *flight = &flights->all[i];

		if (is_due(flight, from_ms, until_ms) &&
			(first == NULL || flight->visible_ms < first->visible_ms))
			first = flight;
	}
	return first;
}

/* The flight with the message among its own; NULL: there is none. */
static struct store_flight *find(const struct store_flights *flights, int64_t id)
{
	size_t low = flights->first, high = flights->end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (flights->all[middle].last_id < id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == flights->end || flights->all[low].id > id || flights->all[low].left == 0)
		return NULL;
	return &flights->all[low];
}

/* What is gone makes room; what it leaves is at most half full. */
static int make_room(struct store_flights *flights)
{
	size_t kept = 0, capacity = flights->capacity;
	struct store_flight *all;

	if (flights->end < capacity)
		return 0;
	for (size_t i = flights->first; i < flights->end; i++)
		if (flights->all[i].left > 0)
			flights->all[kept++] = flights->all[i];
	flights->first = 0;
	flights->end = kept;
	if (2 * kept < capacity)
		return 0;
	capacity = capacity == 0 ? CAPACITY_MIN : 2 * capacity;
	all = reallocarray(flights->all, capacity, sizeof(*all));
	if (all == NULL)
		return kept < flights->capacity ? 0 : ERR_NOMEM;
	flights->all = all;
	flights->capacity = capacity;
	return 0;
}

static void add(struct store_flights *flights, const struct store_flight *flight)
{
	flights->all[flights->end++] = *flight;
	flights->messages += flight->left;
	if (flight->visible_ms < flights->due_ms)
		flights->due_ms = flight->visible_ms;
}

int store_flight_begin(
	struct store *store, struct store_queue *queue, const struct store_flight *flight)
{
	int err;

	if (make_room(&queue->flights) < 0)
		return store_fail_nomem(store);
	store_bind_int(store, STORE_FLIGHT_INSERT, 1, flight->id);
	store_bind_int(store, STORE_FLIGHT_INSERT, 2, flight->last_id);
	store_bind_int(store, STORE_FLIGHT_INSERT, 3, flight->visible_ms);
	store_bind_int(store, STORE_FLIGHT_INSERT, 4, flight->received_ms);
	err = store_run(store, STORE_FLIGHT_INSERT);
	if (err == 0)
		add(&queue->flights, flight);
	return err;
}

/* So many messages are left of it. */
static int set_left(
	struct store *store, struct store_queue *queue, struct store_flight *flight, size_t left)
{
	struct store_flights *flights = &queue->flights;
	int64_t id = flight->id;

	flights->messages -= flight->left - left;
	flight->left = left;
	if (left > 0)
		return 0;
	while (flights->first < flights->end && flights->all[flights->first].left == 0)
		flights->first++;
	store_bind_int(store, STORE_FLIGHT_DELETE, 1, id);
	return store_run(store, STORE_FLIGHT_DELETE);
}

static int land_flight(struct store *store, struct store_queue *queue, struct store_flight *flight)
{
	int err;

	store_bind_int(store, STORE_FLIGHT_LAND, 1, flight->id);
	store_bind_int(store, STORE_FLIGHT_LAND, 2, flight->last_id);
	store_bind_int(store, STORE_FLIGHT_LAND, 3, flight->received_ms);
	store_bind_int(store, STORE_FLIGHT_LAND, 4, flight->visible_ms);
	err = store_run(store, STORE_FLIGHT_LAND);
	return err == 0 ? set_left(store, queue, flight, 0) : err;
}

int store_flights_land(struct store *store, struct store_queue *queue, int64_t from_ms,
	int64_t until_ms, size_t want)
{
	struct store_flights *flights = &queue->flights;
	struct store_flight *flight;
	size_t landed = 0;
	int err = 0;

	if (until_ms < flights->due_ms || flights->messages == 0)
		return 0;
	while (err == 0 && landed < want &&
		(flight = first_due(flights, from_ms, until_ms)) != NULL) {
		landed += flight->left;
		err = land_flight(store, queue, flight);
	}
	flight = first_due(flights, INT64_MIN, INT64_MAX);
	flights->due_ms = flight != NULL ? flight->visible_ms : INT64_MAX;
	return err;
}

int store_flight_leave(struct store *store, struct store_queue *queue, int64_t id)
{
	struct store_flight *flight = find(&queue->flights, id);
	int err;

	if (flight == NULL)
		return 0;
	store_bind_int(store, STORE_FLIGHT_LAND, 1, id);
	store_bind_int(store, STORE_FLIGHT_LAND, 2, id);
	store_bind_int(store, STORE_FLIGHT_LAND, 3, flight->received_ms);
	store_bind_int(store, STORE_FLIGHT_LAND, 4, flight->visible_ms);
	err = store_run(store, STORE_FLIGHT_LAND);
	if (err < 0 || sqlite3_changes(store->db) == 0)
		return err;
	return set_left(store, queue, flight, flight->left - 1);
}

bool store_flights_has(const struct store_queue *queue, int64_t id)
{
	return find(&queue->flights, id) != NULL;
}

/* How many are left of it, by its messages' rows. */
static int recount(struct store *store, struct store_queue *queue, struct store_flight *flight)
{
	size_t left;
	int err;

	store_bind_int(store, STORE_FLIGHT_COUNT, 1, flight->id);
	store_bind_int(store, STORE_FLIGHT_COUNT, 2, flight->last_id);
	err = store_step(store, STORE_FLIGHT_COUNT);
	if (err != 1)
		return err;
	left = (size_t)sqlite3_column_int64(store->statements[STORE_FLIGHT_COUNT], 0);
	store_reset(store, STORE_FLIGHT_COUNT);
	return left < flight->left ? set_left(store, queue, flight, left) : 0;
}

static int delete_rows(struct store *store, const int64_t ids[], size_t count)
{
	if (count == 1) {
		store_bind_int(store, STORE_FLYING_DELETE, 1, ids[0]);
		return store_run(store, STORE_FLYING_DELETE);
	}
	for (size_t i = 0; i < STORE_GATHERED_MAX; i++)
		store_bind_int(store, STORE_FLYING_DELETE_ALL, (int)i + 1,
			i < count ? ids[i] : ids[count - 1]);
	return store_run(store, STORE_FLYING_DELETE_ALL);
}

/* Those that have landed, of which this was the last receive. */
static int delete_landed(struct store *store, const struct store_queue *queue, const int64_t ids[],
	size_t count, int *deleted)
{
	int err = 0;

	for (size_t i = 0; i < count && err == 0; i++) {
		store_bind_int(store, STORE_MESSAGE_DELETE, 1, ids[i]);
		store_bind_int(store, STORE_MESSAGE_DELETE, 2, queue->lane);
		store_bind_int(store, STORE_MESSAGE_DELETE, 3, 1);
		err = store_run(store, STORE_MESSAGE_DELETE);
		*deleted += err == 0 ? sqlite3_changes(store->db) : 0;
	}
	return err;
}

int store_flights_delete(
	struct store *store, struct store_queue *queue, const int64_t ids[], size_t count)
{
	int err = delete_rows(store, ids, count), deleted = sqlite3_changes(store->db);
	bool all = (size_t)deleted == count; /* else some have landed, or were named twice */

	if (err == 0 && !all)
		err = delete_landed(store, queue, ids, count, &deleted);
	if (err < 0)
		return err;
	store_count_change(store, queue, -deleted);
	queue->in_flight_bound -=
		queue->in_flight_bound < deleted ? queue->in_flight_bound : deleted;
	for (size_t i = 0; i < count && err == 0; i++) {
		struct store_flight *flight = find(&queue->flights, ids[i]);

		if (flight != NULL)
			err = all ? set_left(store, queue, flight, flight->left - 1)
				  : recount(store, queue, flight);
	}
	return err;
}

int64_t store_flights_hidden(const struct store_queue *queue, int64_t now)
{
	const struct store_flights *flights = &queue->flights;
	int64_t hidden = 0;

	for (size_t i = flights->first; i < flights->end; i++)
		if (flights->all[i].visible_ms > now)
			hidden += (int64_t)flights->all[i].left;
	return hidden;
}

void store_flights_next(const struct store_queue *queue, int64_t now, int64_t *ret_ms)
{
	const struct store_flight *flight = first_due(&queue->flights, now + 1, INT64_MAX);

	if (flight != NULL && flight->visible_ms < *ret_ms)
		*ret_ms = flight->visible_ms;
}

int store_flights_load(struct store *store, struct store_queue *queue)
{
	sqlite3_stmt *row = store->statements[STORE_FLIGHTS_OF];
	int err;

	store_bind_int(store, STORE_FLIGHTS_OF, 1, store_id(queue->lane, false, 0));
	store_bind_int(store, STORE_FLIGHTS_OF, 2, store_id(queue->lane, true, 0));
	while ((err = store_step(store, STORE_FLIGHTS_OF)) == 1) {
		struct store_flight flight = {
			.id = sqlite3_column_int64(row, 0),
			.last_id = sqlite3_column_int64(row, 1),
			.visible_ms = sqlite3_column_int64(row, 2),
			.received_ms = sqlite3_column_int64(row, 3),
			.left = (size_t)sqlite3_column_int64(row, 4),
		};

		if (make_room(&queue->flights) < 0) {
			store_reset(store, STORE_FLIGHTS_OF);
			return ERR_NOMEM;
		}
		add(&queue->flights, &flight);
	}
	return err;
}

int store_flights_drop(struct store *store, struct store_queue *queue)
{
	store_bind_int(store, STORE_FLIGHTS_DROP, 1, store_id(queue->lane, false, 0));
	store_bind_int(store, STORE_FLIGHTS_DROP, 2, store_id(queue->lane, true, 0));
	store_flights_free(queue);
	return store_run(store, STORE_FLIGHTS_DROP);
}

void store_flights_free(struct store_queue *queue)
{
	free(queue->flights.all);
	queue->flights = (struct store_flights){.due_ms = INT64_MAX};
}
