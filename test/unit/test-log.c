#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/log-limit.h"

/* What the last call of log_*() wrote, one read(2) per record: a pipe in the place of descriptor 2. */
struct capture {
	int pipe[2];
	int saved_stderr;
	char text[2 * PIPE_BUF];
};

static struct capture capture;

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_INFO);
	/* Packet mode: a read returns what one write wrote. */
	if (pipe2(capture.pipe, O_DIRECT | O_NONBLOCK | O_CLOEXEC) < 0)
		return -1;
	capture.saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	return dup2(capture.pipe[1], STDERR_FILENO) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	dup2(capture.saved_stderr, STDERR_FILENO);
	close(capture.saved_stderr);
	close(capture.pipe[0]);
	close(capture.pipe[1]);
	return 0;
}

/* The record written last, "" when there is none. */
static const char *captured(void)
{
	ssize_t n = read(capture.pipe[0], capture.text, sizeof(capture.text) - 1);

	capture.text[n > 0 ? n : 0] = '\0';
	return capture.text;
}

static void test_record_has_level_message_and_fields(void **state)
{
	(void)state;
	log_info("synced", log_number("services", 812), log_text("node", "worker-1"));
	assert_string_equal(captured(), "level=info msg=\"synced\" services=812 node=worker-1\n");
	log_error("no fields");
	assert_string_equal(captured(), "level=error msg=\"no fields\"\n");
	log_warn("numbers", log_number("least", INT64_MIN), log_number("most", INT64_MAX));
	assert_string_equal(captured(), "level=warn msg=\"numbers\" least=-9223372036854775808 "
					"most=9223372036854775807\n");
}

static void test_record_may_have_no_end_of_fields(void **state)
{
	struct log_field fields[LOG_MAX_FIELDS + 1];

	(void)state;
	for (int i = 0; i <= LOG_MAX_FIELDS; i++)
		fields[i] = log_number("n", i);
	log_write(LOG_LEVEL_INFO, "m", fields);
	assert_non_null(strstr(captured(), " n=22\n"));
}

static void test_level_drops_what_is_above(void **state)
{
	(void)state;
	log_debug("unseen");
	assert_string_equal(captured(), "");
	log_set_level(LOG_LEVEL_DEBUG);
	assert_int_equal(log_get_level(), LOG_LEVEL_DEBUG);
	log_debug("seen");
	assert_string_equal(captured(), "level=debug msg=\"seen\"\n");
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("unseen");
	assert_string_equal(captured(), "");
}

static void test_errno_survives(void **state)
{
	(void)state;
	errno = ERANGE;
	log_info("x");
	assert_int_equal(errno, ERANGE);
	close(STDERR_FILENO);
	log_info("nobody listens");
	assert_int_equal(errno, ERANGE);
}

/* @value as the text of a field is written as @expected. */
static void check_field(const char *value, const char *expected)
{
	char record[256];

	log_info("m", log_text("k", value));
	snprintf(record, sizeof(record), "level=info msg=\"m\" k=%s\n", expected);
	assert_string_equal(captured(), record);
}

static void test_texts_are_quoted_when_they_must_be(void **state)
{
	(void)state;
	check_field("plain-word/1.2:3", "plain-word/1.2:3");
	check_field("", "\"\"");
	check_field(NULL, "\"\"");
	check_field("two words", "\"two words\"");
	check_field("a=b", "\"a=b\"");
	check_field("say \"hi\"", "\"say \\\"hi\\\"\"");
	check_field("back\\slash", "\"back\\\\slash\"");
	check_field("caf\xc3\xa9", "\"caf\xc3\xa9\"");
}

static void test_S4_terminal_escapes_do_not_pass(void **state)
{
	(void)state;
	check_field("\x1b[2J", "\"\\x1b[2J\"");
	check_field("a\nlevel=error", "\"a\\x0alevel=error\"");
	check_field("\r\t\x7f", "\"\\x0d\\x09\\x7f\"");
	check_field("\xc2\x9b"
		    "31m",
		    "\"\\xc2\\x9b31m\""); /* U+009B, a one-character CSI */
	log_info("line\nfeed");
	assert_string_equal(captured(), "level=info msg=\"line\\x0afeed\"\n");
}

static void test_S4_bidirectional_controls_do_not_pass(void **state)
{
	(void)state;
	check_field("\xe2\x80\x8e", "\"\\xe2\\x80\\x8e\""); /* U+200E */
	check_field("\xe2\x80\x8f", "\"\\xe2\\x80\\x8f\"");
	check_field("\xe2\x80\xaa", "\"\\xe2\\x80\\xaa\""); /* U+202A to U+202E */
	check_field("\xe2\x80\xae", "\"\\xe2\\x80\\xae\"");
	check_field("\xe2\x81\xa6", "\"\\xe2\\x81\\xa6\""); /* U+2066 to U+2069 */
	check_field("\xe2\x81\xa9", "\"\\xe2\\x81\\xa9\"");
	check_field("\xd8\x9c", "\"\\xd8\\x9c\"");          /* U+061C */
	check_field("\xe2\x80\xa8", "\"\\xe2\\x80\\xa8\""); /* U+2028, a line separator */
	check_field("\xe2\x80\x90\xe2\x80\xaf", "\"\xe2\x80\x90\xe2\x80\xaf\""); /* neighbours */
}

static void test_S4_invalid_utf8_does_not_pass(void **state)
{
	(void)state;
	check_field("\xff", "\"\\xff\"");
	check_field("\x80", "\"\\x80\"");
	check_field("\xc3(", "\"\\xc3(\"");
	check_field("\xe2\x82", "\"\\xe2\\x82\"");
	check_field("\xc0\xaf", "\"\\xc0\\xaf\"");                   /* overlong '/' */
	check_field("\xe0\x80\xaf", "\"\\xe0\\x80\\xaf\"");          /* overlong '/' */
	check_field("\xed\xa0\x80", "\"\\xed\\xa0\\x80\"");          /* a surrogate */
	check_field("\xf4\x90\x80\x80", "\"\\xf4\\x90\\x80\\x80\""); /* behind U+10FFFF */
	check_field("\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"");
}

/* One write of at most PIPE_BUF bytes, closed and ended, nothing torn, nothing behind the cut. */
static void test_S4_long_record_is_cut_between_characters(void **state)
{
	char value[PIPE_BUF + 3];

	(void)state;
	for (size_t n_ascii = 0; n_ascii < 3; n_ascii++) {
		const char *record, *tail;
		size_t len;

		memset(value, 'a', n_ascii);
		for (size_t i = n_ascii; i + 3 < sizeof(value); i += 3)
			memcpy(value + i, "\xe2\x82\xac", 4);
		log_info("long", log_text("k", value), log_number("behind", 1));
		record = captured();
		len = strlen(record);
		tail = "\xe2\x82\xac\"\n";
		assert_in_range(len, PIPE_BUF - 4, PIPE_BUF);
		assert_string_equal(record + len - strlen(tail), tail);
		assert_null(strstr(record, "behind"));
		assert_string_equal(captured(), "");
	}
}

#define log_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* How many of @n records at @now_us are written; each is read at once. */
static size_t limited(struct log_limit *l, uint64_t now_us, size_t n)
{
	size_t written = 0;

	for (size_t i = 0; i < n; i++) {
		log_limited(l, now_us, LOG_LEVEL_WARN, "bad", log_fields(log_number("i", i)));
		for (const char *text = captured(); *text; text = captured())
			written += strstr(text, "msg=\"bad\" i=") != NULL;
	}
	return written;
}

static void test_a_flood_is_cut_and_counted(void **state)
{
	const uint64_t second_us = 1000000, begin_us = 77 * second_us;
	struct log_limit l = { 0 };

	(void)state;
	assert_int_equal(limited(&l, begin_us, 10000), LOG_LIMIT_BURST);
	log_limit_flush(&l);
	assert_string_equal(captured(),
			    "level=warn msg=\"too many records of this kind, the others "
			    "are not written\" dropped=9900\n");
	log_limit_flush(&l);
	assert_string_equal(captured(), "");
	assert_int_equal(limited(&l, begin_us + second_us, 3), 1);
	log_limited(&l, begin_us + 2 * second_us, LOG_LEVEL_WARN, "next", log_fields({ 0 }));
	assert_non_null(strstr(captured(), " dropped=2\n"));
	assert_string_equal(captured(), "level=warn msg=\"next\"\n");
	assert_int_equal(limited(&l, begin_us + 1000 * second_us, 1000), LOG_LIMIT_BURST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		log_test(test_record_has_level_message_and_fields),
		log_test(test_record_may_have_no_end_of_fields),
		log_test(test_level_drops_what_is_above),
		log_test(test_errno_survives),
		log_test(test_texts_are_quoted_when_they_must_be),
		log_test(test_S4_terminal_escapes_do_not_pass),
		log_test(test_S4_bidirectional_controls_do_not_pass),
		log_test(test_S4_invalid_utf8_does_not_pass),
		log_test(test_S4_long_record_is_cut_between_characters),
		log_test(test_a_flood_is_cut_and_counted),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
