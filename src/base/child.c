#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/loop.h"
#include "base/secret.h"

enum {
	COMPLAINT_BYTES = 256, /* of standard error */
	BURIAL_MS = 1000,      /* SIGKILL is not obeyed at once by who waits for a broken disk */
};

/* What the child writes. */
struct stream {
	int fd; /* our end, or -EBADF */
	struct loop_source *source;
	char *bytes; /* room for one more than @max and a zero byte */
	size_t len, max;
};

struct child {
	struct loop *loop;
	pid_t pid; /* and process group; 0: there is none any more */
	int pidfd;
	struct loop_source *end, *deadline;
	struct stream output, complaint;
	uint64_t timeout_ms;
	child_fn fn;
	void *userdata;
};

static void stream_close(struct stream *s)
{
	s->source = loop_source_free(s->source);
	closep(&s->fd);
	s->fd = -EBADF;
}

/* As read(), but with a negative errno. What is beyond @max is dropped, except for one byte that tells of
 * it. */
static ssize_t stream_read(struct stream *s)
{
	char dropped[4096];
	size_t room = s->max + 1 - s->len;
	ssize_t n = read(s->fd, room > 0 ? s->bytes + s->len : dropped,
			 room > 0 ? room : sizeof(dropped));

	if (n > 0 && room > 0)
		s->len += (size_t)n;
	return n < 0 ? -errno : n;
}

/* All that is there, but no more than is wanted: who escaped may write for ever. */
static void stream_drain(struct stream *s)
{
	ssize_t n = 1;

	while (s->fd >= 0 && s->len <= s->max && (n > 0 || n == -EINTR))
		n = stream_read(s);
}

/* Kill who is left of the group, and bury those who are ours: the leader, and his orphans where we are
 * process 1. Until the leader is buried, nobody else can have his number. */
static siginfo_t group_end(struct child *c)
{
	uint64_t give_up_us = monotonic_us() + BURIAL_MS * (uint64_t)1000;
	siginfo_t leader = { 0 };

	kill(-c->pid, SIGKILL);
	for (;;) {
		siginfo_t dead = { 0 };

		if (waitid(P_PGID, (id_t)c->pid, &dead, WEXITED | WNOHANG) < 0 && errno != EINTR)
			break;
		if (dead.si_pid == c->pid)
			leader = dead;
		if (dead.si_pid == 0 && monotonic_us() > give_up_us)
			break;
		if (dead.si_pid == 0)
			poll(NULL, 0, 1);
	}
	c->pid = 0;
	return leader;
}

static void sources_close(struct child *c)
{
	c->end = loop_source_free(c->end);
	c->deadline = loop_source_free(c->deadline);
	stream_close(&c->output);
	stream_close(&c->complaint);
}

struct child *child_free(struct child *c)
{
	if (!c)
		return NULL;
	if (c->pid > 0)
		group_end(c);
	sources_close(c);
	closep(&c->pidfd);
	if (c->output.bytes)
		secret_wipe(c->output.bytes, c->output.len);
	free(c->output.bytes);
	free(c->complaint.bytes);
	free(c);
	return NULL;
}

/* The first line of standard error that is not empty. */
static const char *complaint_line(struct child *c)
{
	char *line = c->complaint.bytes + strspn(c->complaint.bytes, " \t\r\n");

	line[strcspn(line, "\r\n")] = '\0';
	return line;
}

/* The last thing that is done with @c: who is told may free it. */
static int child_tell(struct child *c, int r, struct error *err)
{
	const char *complaint = complaint_line(c);

	sources_close(c);
	if (r < 0 && *complaint)
		error_set(err, r, "%s: %s", err->message, complaint);
	if (r < 0)
		c->fn(r, NULL, 0, err, c->userdata);
	else
		c->fn(0, c->output.bytes, c->output.len, NULL, c->userdata);
	return 0;
}

static int output_check(const struct child *c, struct error *err)
{
	if (c->output.len <= c->output.max)
		return 0;
	return error_set(err, -E2BIG, "wrote more than %zu bytes", c->output.max);
}

static int on_end(int fd, uint32_t epoll_events, void *userdata)
{
	struct child *c = userdata;
	siginfo_t info = group_end(c);
	struct error err;
	int r;

	(void)fd;
	(void)epoll_events;
	stream_drain(&c->output);
	stream_drain(&c->complaint);
	r = output_check(c, &err);
	if (r == 0 && info.si_code != CLD_EXITED)
		r = error_set(&err, -EIO, "ended by signal %d", info.si_status);
	else if (r == 0 && info.si_status != 0)
		r = error_set(&err, -EIO, "exit status %d", info.si_status);
	return child_tell(c, r, &err);
}

static int on_deadline(void *userdata)
{
	struct child *c = userdata;
	struct error err;

	group_end(c);
	error_set(&err, -ETIMEDOUT, "still ran after %" PRIu64 " ms", c->timeout_ms);
	return child_tell(c, err.code, &err);
}

static int on_stream(struct child *c, struct stream *s)
{
	ssize_t n = stream_read(s);
	struct error err;
	int r = output_check(c, &err);

	if (r < 0) {
		group_end(c);
		return child_tell(c, r, &err);
	}
	if (n <= 0 && n != -EAGAIN && n != -EINTR)
		stream_close(s);
	return 0;
}

static int on_output(int fd, uint32_t epoll_events, void *userdata)
{
	struct child *c = userdata;

	(void)fd;
	(void)epoll_events;
	return on_stream(c, &c->output);
}

static int on_complaint(int fd, uint32_t epoll_events, void *userdata)
{
	struct child *c = userdata;

	(void)fd;
	(void)epoll_events;
	return on_stream(c, &c->complaint);
}

/* The other end of the pipe, which the child gets, stays blocking: a program may rely on that. */
static int stream_open(struct stream *s, size_t max, int *ret_theirs)
{
	int fds[2];

	s->max = max;
	s->bytes = calloc(1, max + 2);
	if (!s->bytes)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	s->fd = fds[0];
	*ret_theirs = fds[1];
	return fcntl(s->fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* The loop blocks signals and the agent ignores some, and both are inherited. */
static int attributes_set(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	r = posix_spawnattr_setsigmask(attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attributes, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK |
								 POSIX_SPAWN_SETSIGDEF |
								 POSIX_SPAWN_SETSID);
	return r;
}

static int descriptors_set(posix_spawn_file_actions_t *actions, int output, int complaint)
{
	int r;

	r = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, complaint, STDERR_FILENO);
	/* Not all that is open in us was opened by us. */
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	return r;
}

static int spawn(const struct child_program *p, int output, int complaint, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r == 0) {
		r = attributes_set(&attributes);
		if (r == 0)
			r = descriptors_set(&actions, output, complaint);
		if (r == 0)
			r = posix_spawnp(ret, p->argv[0], &actions, &attributes, p->argv, p->env);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int child_spawn(struct child *c, const struct child_program *p)
{
	_cleanup_close_ int output = -EBADF, complaint = -EBADF;
	int r;

	r = stream_open(&c->output, p->max_output_bytes, &output);
	if (r == 0)
		r = stream_open(&c->complaint, COMPLAINT_BYTES, &complaint);
	/* Ignored, as whoever started us may have left it, it would take away the exit status. */
	if (r == 0 && signal(SIGCHLD, SIG_DFL) == SIG_ERR)
		r = -errno;
	if (r == 0)
		r = spawn(p, output, complaint, &c->pid);
	if (r < 0)
		return r;
	c->pidfd = pidfd_open(c->pid, 0);
	return c->pidfd < 0 ? -errno : 0;
}

static int child_watch(struct child *c, struct error *err)
{
	int r;

	r = loop_add_fd(c->loop, c->pidfd, EPOLLIN, on_end, c, &c->end, err);
	if (r == 0)
		r = loop_add_fd(c->loop, c->output.fd, EPOLLIN, on_output, c, &c->output.source,
				err);
	if (r == 0)
		r = loop_add_fd(c->loop, c->complaint.fd, EPOLLIN, on_complaint, c,
				&c->complaint.source, err);
	if (r == 0)
		r = loop_add_timer(c->loop, on_deadline, c, &c->deadline, err);
	if (r < 0)
		return r;
	r = loop_timer_arm(c->deadline, c->timeout_ms);
	return r < 0 ? error_errno(err, -r, "deadline") : 0;
}

int child_start(struct loop *loop, const struct child_program *program, child_fn fn, void *userdata,
		struct child **ret, struct error *err)
{
	_cleanup_(child_freep) struct child *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_set(err, -ENOMEM, "out of memory");
	*c = (struct child){ .loop = loop,
			     .pidfd = -EBADF,
			     .output.fd = -EBADF,
			     .complaint.fd = -EBADF,
			     .timeout_ms = program->timeout_ms,
			     .fn = fn,
			     .userdata = userdata };
	r = child_spawn(c, program);
	if (r < 0)
		return error_errno(err, -r, "can't be run");
	r = child_watch(c, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}
