/* Keeps what a power cut would leave: of each file that a program syncs, the content as of that moment.
 *
 * To be preloaded. In the folder TM_POWER_FOLDER a file has its own name alone, and follows when it is renamed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int kept_path(char *kept, size_t size, const char *path)
{
    const char *folder = getenv("TM_POWER_FOLDER");
    const char *slash = strrchr(path, '/');
    return folder != NULL && snprintf(kept, size, "%s/%s", folder, slash ? slash + 1 : path) < (int)size;
}

static void keep(int file)
{
    char link[64], path[4096], kept[4096], block[65536];
    struct stat status;
    ssize_t length, at = 0;
    int saved = errno, copy;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
        goto out;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        goto out;
    path[length] = 0;
    if (!kept_path(kept, sizeof kept, path))
        goto out;
    int own = open(path, O_RDONLY | O_CLOEXEC);
    copy = open(kept, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    while (own >= 0 && copy >= 0 && (length = pread(own, block, sizeof block, at)) > 0) {
        if (pwrite(copy, block, length, at) != length)
            break;
        at += length;
    }
    /* Closing a descriptor of a database would let go of its POSIX locks in this process: it stays open. */
    if (copy >= 0)
        close(copy);
out:
    errno = saved;
}

int fsync(int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    int result = real(file);
    if (result == 0)
        keep(file);
    return result;
}

int fdatasync(int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int result = real(file);
    if (result == 0)
        keep(file);
    return result;
}

int rename(const char *old, const char *new)
{
    int (*real)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    char kept_old[4096], kept_new[4096];
    int result = real(old, new), saved = errno;
    if (result == 0 && kept_path(kept_old, sizeof kept_old, old) && kept_path(kept_new, sizeof kept_new, new))
        real(kept_old, kept_new);
    errno = saved;
    return result;
}
