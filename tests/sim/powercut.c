// Pulls the plug on a program: at its operation number POWERCUT_AT (from 1) on files it is killed by SIGKILL.
//
// To be preloaded. Operations are what may change a file: to open one for writing, write, fsync, rename, unlink. Of a
// write that is cut half gets through; nothing else does. What was not flushed by fsync stays, or is lost when
// POWERCUT_LOSES is set: a file is then as long as when it was flushed last.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES (64)

static struct {
    char path[PATH_MAX];
    int fd; // -1: closed since, or of another file by now
    off_t flushed;
} written[FILES];
static int count;
static long operations;

static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL) {
        abort();
    }
    return function;
}

static void cut(void)
{
    for (int i = 0; i < count && getenv("POWERCUT_LOSES") != NULL; i++) {
        struct stat now;
        if (stat(written[i].path, &now) == 0 && now.st_size > written[i].flushed &&
            truncate(written[i].path, written[i].flushed) != 0) {
            abort();
        }
    }
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

// Whether this operation is the one.
static bool due(void)
{
    const char *at = getenv("POWERCUT_AT");
    return at != NULL && ++operations == atol(at);
}

static int of_fd(int fd)
{
    for (int i = 0; i < count; i++) {
        if (written[i].fd == fd) {
            return i;
        }
    }
    return -1;
}

static int of_path(const char *path)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(written[i].path, path) == 0) {
            return i;
        }
    }
    return -1;
}

int open64(const char *path, int flags, ...)
{
    int (*open_there)(const char *, int, ...) = (int (*)(const char *, int, ...))real("open64");
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) ? (mode_t)va_arg(rest, int) : 0;
    va_end(rest);
    if ((flags & O_ACCMODE) == O_RDONLY || strncmp(path, "/dev/", 5) == 0) {
        return open_there(path, flags, mode);
    }
    if (due()) {
        cut();
    }
    int fd = open_there(path, flags, mode);
    struct stat now;
    if (fd >= 0 && fstat(fd, &now) == 0) {
        int old = of_fd(fd);
        if (old >= 0) {
            written[old].fd = -1;
        }
        int i = of_path(path);
        if (i < 0) {
            i = count++;
        }
        if (i >= FILES || strlen(path) >= PATH_MAX) {
            abort();
        }
        strcpy(written[i].path, path);
        written[i].fd = fd;
        written[i].flushed = now.st_size;
    }
    return fd;
}

ssize_t write(int fd, const void *data, size_t size)
{
    ssize_t (*write_there)(int, const void *, size_t) = (ssize_t (*)(int, const void *, size_t))real("write");
    if (of_fd(fd) >= 0 && due()) {
        if (write_there(fd, data, size / 2) < 0) {
            abort();
        }
        cut();
    }
    return write_there(fd, data, size);
}

int fsync(int fd)
{
    int i = of_fd(fd);
    if (i >= 0 && due()) {
        cut();
    }
    int failed = ((int (*)(int))real("fsync"))(fd);
    struct stat now;
    if (i >= 0 && !failed && fstat(fd, &now) == 0) {
        written[i].flushed = now.st_size;
    }
    return failed;
}

int close(int fd)
{
    int i = of_fd(fd);
    if (i >= 0) {
        written[i].fd = -1;
    }
    return ((int (*)(int))real("close"))(fd);
}

int rename(const char *old, const char *new)
{
    if (due()) {
        cut();
    }
    int failed = ((int (*)(const char *, const char *))real("rename"))(old, new);
    if (!failed) {
        int i = of_path(new);
        if (i >= 0) {
            written[i].path[0] = 0; // it is gone
        }
        i = of_path(old);
        if (i >= 0) {
            strcpy(written[i].path, new);
        }
    }
    return failed;
}

int unlink(const char *path)
{
    if (due()) {
        cut();
    }
    int i = of_path(path);
    if (i >= 0) {
        written[i].path[0] = 0;
    }
    return ((int (*)(const char *))real("unlink"))(path);
}
