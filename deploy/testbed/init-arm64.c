/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process 1 of the arm64 testbed: runs the commands listed in /tests, one a line, counts, and
 * powers
 * off. A line starts with the exit status that is wanted.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Exit status as a shell would tell it. The alarm outlives exec and ends a test that hangs. */
static int run(char *line)
{
	char *words[32], *save = NULL;
	int count = 0, status;
	pid_t child;

	for (char *word = strtok_r(line, " ", &save); word && count < 31;
	     word = strtok_r(NULL, " ", &save))
		words[count++] = word;
	words[count] = NULL;

	child = fork();
	if (child == 0) {
		alarm(180);
		execv(words[0], words);
		perror(words[0]);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 126;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(void)
{
	int passed = 0, failed = 0;
	char line[512], shown[512];
	FILE *tests;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mkdir("/tmp", 01777);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	mkdir("/dev/shm", 01777);
	mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);

	tests = fopen("/tests", "re");
	while (tests && fgets(line, sizeof(line), tests)) {
		char *command = NULL;
		long wanted = strtol(line, &command, 10);
		double start = now();
		int status;

		command[strcspn(command, "\n")] = 0;
		strcpy(shown, command);
		status = run(command);
		if (status == wanted)
			passed++;
		else
			failed++;
		printf("%s %s (%.1f s, exit status %d)\n", status == wanted ? "ok " : "FAILED", shown,
		       now() - start, status);
	}
	printf("%d passed, %d failed\n", passed, failed);
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
