/* Keeps what a power cut would leave: of each file that a program syncs, the content as of that moment.
 *
 * To be preloaded. In the folder TM_POWER_FOLDER a file has its own name alone, and follows when it is renamed. One
 * that is removed is gone once its folder has been synced. With TM_POWER_HISTORY, a folder, it also has there a copy
 * for each time, NUMBER-NAME, and an empty NUMBER-NAME.gone when it is gone.
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

static int steps;
static char removed[64][4096];
static int removals;

static void copy_file(const char *from, const char *to)
{
    char block[65536];
    ssize_t length;
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    while (in >= 0 && out >= 0 && (length = read(in, block, sizeof block)) > 0)
        if (write(out, block, length) != length)
            break;
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
}

static void note(const char *kept, const char *more)
{
    const char *folder = getenv("TM_POWER_HISTORY");
    char path[8300];
    if (folder != NULL && snprintf(path, sizeof path, "%s/%04d-%s%s", folder, ++steps, strrchr(kept, '/') + 1, more) < (int)sizeof path)
        copy_file(*more ? "/dev/null" : kept, path);
}

static void settle(void)
{
    while (removals > 0) {
        unlink(removed[--removals]);
        note(removed[removals], ".gone");
    }
}

static void keep(int file)
{
    char link[64], path[4096], kept[4096], block[65536];
    struct stat status;
    ssize_t length, at = 0;
    int saved = errno, copy;
    if (fstat(file, &status) != 0)
        goto out;
    if (S_ISDIR(status.st_mode))
        settle();
    if (!S_ISREG(status.st_mode))
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
    if (copy >= 0) {
        close(copy);
        note(kept, "");
    }
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

int unlink(const char *path)
{
    int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    char kept[4096];
    int result = real(path), saved = errno;
    const char *folder = getenv("TM_POWER_FOLDER");
    int own = folder != NULL && strncmp(path, folder, strlen(folder)) == 0;
    if (result == 0 && !own && removals < 64 && kept_path(kept, sizeof kept, path) && access(kept, F_OK) == 0)
        strcpy(removed[removals++], kept);
    errno = saved;
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
