/*
 * Preloaded into a process of the chaos test: sets its wall clock ahead (never back). The file that
 * CHAOS_CLOCK names holds one int64_t, in native byte order: nanoseconds that are added to
 * CLOCK_REALTIME. It is mapped, so the test changes the clock of a running process by writing those
 * eight bytes. Without the variable, or with a file that cannot be mapped, the clock is the
 * system's.
 *
 * The kernel is asked directly: dlsym() would bring this code into the sanitizers' start-up, where
 * the next definition in line may not work yet.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

static const int64_t *offset_ns;

__attribute__((constructor)) static void map_offset(void)
{
	const char *path = getenv("CHAOS_CLOCK");
	void *memory;
	int fd;

	if (!path)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	memory = mmap(NULL, sizeof(*offset_ns), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (memory != MAP_FAILED)
		offset_ns = memory;
}

static int is_wall(clockid_t id)
{
	return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, id, now);
	int64_t ahead_ns, ns;

	if (result != 0 || !offset_ns || !is_wall(id))
		return result;
	ahead_ns = __atomic_load_n(offset_ns, __ATOMIC_RELAXED);
	ns = now->tv_nsec + ahead_ns % SECOND_NS;
	now->tv_sec += ahead_ns / SECOND_NS + ns / SECOND_NS;
	now->tv_nsec = ns % SECOND_NS;
	return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec precise;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &precise) != 0)
		return -1;
	now->tv_sec = precise.tv_sec;
	now->tv_usec = precise.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return -1;
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}
