/* How many processes a second this machine can start and reap at all: posix_spawn + waitpid, every status checked.
 * spawn COUNT CONCURRENT PROGRAM   prints processes per second.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec + at.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	int count = atoi(argv[1]), concurrent = atoi(argv[2]), status;
	char *words[] = { argv[3], NULL };
	int started = 0, ended = 0;
	double begin = now();

	while (ended < count) {
		for (; started < count && started - ended < concurrent; started++) {
			pid_t pid;

			if (posix_spawn(&pid, words[0], NULL, NULL, words, environ) != 0)
				return 1;
		}
		if (waitpid(-1, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
			return 1;
		ended++;
	}
	printf("%.1f\n", count / (now() - begin));
	return 0;
}
