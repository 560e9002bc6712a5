#include "source/manifests.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/loop.h"
#include "source/manifest-directory.h"
#include "source/source.h"

enum {
	RETRY_MS = 1000,
	EVENTS_BYTES = 16 * 1024, /* read at once; one event takes at most 272 */
};

#define DIRECTORY_EVENTS                                                                    \
	(IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | \
	 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define PARENT_EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR)

struct manifests {
	struct directory directory;
	int inotify; /* descriptor, or a negative errno */
	int watch;   /* of the directory; a negative errno when there is none */
	int parent_watch;
	bool relist; /* what inotify told is not the whole story: list the directory */
	int trouble; /* the error that was told and lasts; 0: none */
	struct loop_source *input, *update, *retry; /* NULL until manifests_follow() */
};

/* Watch what @path is now. True when that is another directory than before. */
static bool watch_refresh(struct manifests *m)
{
	char parent[PATH_MAX];
	int watch;

	if (m->inotify < 0)
		return false;
	/* The kernel gives the same number for the same directory, and a new one for another. */
	watch = inotify_add_watch(m->inotify, m->directory.path, DIRECTORY_EVENTS);
	if (watch < 0)
		watch = -errno;
	if (watch == m->watch)
		return false;
	if (m->watch >= 0)
		inotify_rm_watch(m->inotify, m->watch);
	m->watch = watch;
	if (watch < 0)
		return false;

	/* The directory tells of its own end only when nobody has it open; its parent always does. */
	if (m->parent_watch >= 0)
		inotify_rm_watch(m->inotify, m->parent_watch);
	snprintf(parent, sizeof(parent), "%s/..", m->directory.path);
	m->parent_watch = inotify_add_watch(m->inotify, parent, PARENT_EVENTS);
	return true;
}

/* Whether the writer of a file that was just created is still to close it. Not so for links, whole
 * from the start, and for what is no file. */
static bool file_is_being_written(const struct manifests *m, const char *name)
{
	_cleanup_close_ int fd = open(m->directory.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	return fd >= 0 && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       st.st_nlink == 1;
}

static void file_event(struct manifests *m, uint32_t mask, const char *name)
{
	/* A volume of the kubelet: its files are links through "..data", a link that is replaced. */
	if (strncmp(name, "..", 2) == 0)
		m->relist = true;
	else if (mask & IN_ATTRIB)
		directory_mark_unreadable(&m->directory, name);
	else if ((mask & IN_CREATE) && file_is_being_written(m, name))
		return;
	else if (directory_mark(&m->directory, name) < 0)
		m->relist = true;
}

static void event_take(struct manifests *m, const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW)
		m->relist = true;
	/* Else the parent, or a directory of before: only to look where the watch stands now. */
	if (event->wd == m->watch && event->len > 0)
		file_event(m, event->mask, event->name);
}

static void events_drain(struct manifests *m)
{
	char events[EVENTS_BYTES] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	while (m->inotify >= 0 && (n = read(m->inotify, events, sizeof(events))) > 0) {
		const struct inotify_event *event;

		for (const char *p = events; p < events + n; p += sizeof(*event) + event->len) {
			event = (const void *)p;
			event_take(m, event);
		}
	}
}

static int directory_update(struct manifests *m, struct error *err)
{
	int r;

	/* The two events of a rename must not come into two passes. */
	events_drain(m);
	m->relist |= watch_refresh(m);
	/* A directory that went takes its files with it, so this comes before they are looked for. */
	if (m->update && m->watch < 0)
		return error_errno(err, -m->watch, "watch %s", m->directory.path);
	if (m->relist) {
		r = directory_list(&m->directory, err);
		if (r < 0)
			return r;
		m->relist = false;
	}
	r = directory_read(&m->directory, err);
	if (r == 0)
		m->trouble = 0;
	return r;
}

/* Also when the retry timer fires: the parent may be gone as well, and memory comes back silently. */
static int on_update(void *userdata)
{
	struct manifests *m = userdata;
	const struct source_events *events = &m->directory.events;
	struct error err;
	int r;

	r = directory_update(m, &err);
	if (r == 0)
		return 0;
	if (r != m->trouble) {
		error_wrap(&err, r, "objects stay as they were");
		events->report(m->directory.path, err.message, events->userdata);
	}
	m->trouble = r;
	return loop_timer_arm(m->retry, RETRY_MS);
}

static int on_events(int fd, uint32_t epoll_events, void *userdata)
{
	struct manifests *m = userdata;

	(void)fd;
	(void)epoll_events;
	events_drain(m);
	return loop_defer(m->update);
}

int manifests_open(const char *path, const struct source_events *events, struct manifests **ret,
		   struct error *err)
{
	_cleanup_(manifests_freep) struct manifests *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return error_set(err, -ENOMEM, "out of memory");
	m->watch = m->parent_watch = -ENOENT;
	m->relist = true;
	/* Watched before it is read, so that no change falls in between. Who only reads can do without. */
	m->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (m->inotify < 0)
		m->inotify = -errno;
	r = directory_init(&m->directory, path, events);
	if (r < 0)
		return error_set(err, r, "out of memory");
	r = directory_update(m, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(m);
	return 0;
}

int manifests_follow(struct manifests *m, struct loop *loop, struct error *err)
{
	int r = m->inotify < 0 ? m->inotify : m->watch;

	if (r < 0)
		return error_errno(err, -r, "watch %s", m->directory.path);
	r = loop_add_timer(loop, on_update, m, &m->retry, err);
	if (r < 0)
		return r;
	r = loop_add_deferred(loop, on_update, m, &m->update, err);
	if (r < 0)
		return r;
	return loop_add_fd(loop, m->inotify, EPOLLIN, on_events, m, &m->input, err);
}

int manifests_rescan(struct manifests *m, struct error *err)
{
	int r;

	m->relist = true;
	r = directory_update(m, err);
	if (r < 0 && m->retry)
		loop_timer_arm(m->retry, RETRY_MS);
	return r;
}

struct manifests *manifests_free(struct manifests *m)
{
	if (!m)
		return NULL;
	loop_source_free(m->input);
	loop_source_free(m->update);
	loop_source_free(m->retry);
	if (m->inotify >= 0)
		close(m->inotify);
	directory_free(&m->directory);
	free(m);
	return NULL;
}

struct manifests_stats manifests_stats(const struct manifests *m)
{
	return directory_stats(&m->directory);
}
