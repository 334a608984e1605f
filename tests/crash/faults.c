// Faults at file operations: loaded with LD_PRELOAD, armed through ctypes (faults.py).
//
// Counts the calls that change files under one folder, and at one of them kills the process or
// lets the call fail. Which files those are is asked of /proc/self/fd, so that there is no state.
// It can also record the calls with all that they write, from which power_loss.py works out what a
// disk may hold when the power fails.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode {
    KILL_BEFORE, // the call is not made
    KILL_AFTER,
    TORN,        // half of a write is made, then the process is killed
    SHORT,       // half of a write is made and said to be
    ERROR,       // this call fails
    ERROR_ALWAYS // this and all later calls fail, as on a disk that stays full or read-only
};

static char folder[PATH_MAX];
static long fault_at = -1;
static enum mode fault_mode;
static int fault_errno;
static int trace_fd = -1;
static int record_fd = -1;
static atomic_long calls;

// Call number `at` and those in `prefix` count from 0; the path must have no links in it.
void faults_arm(const char* prefix, long at, int mode, int error, int trace) {
    calls = 0;
    fault_at = at;
    fault_mode = mode;
    fault_errno = error;
    trace_fd = trace;
    snprintf(folder, sizeof folder, "%s", prefix);
}

void faults_disarm(void) { folder[0] = 0; }

// All calls that succeed are recorded from now on, in a file that is opened for appending.
void faults_record(const char* prefix, int record) {
    fault_at = -1;
    trace_fd = -1;
    record_fd = record;
    snprintf(folder, sizeof folder, "%s", prefix);
}

#define REAL(type, name, ...)                                                                      \
    static type (*real)(__VA_ARGS__);                                                              \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static ssize_t real_write(int fd, const void* data, size_t size) {
    REAL(ssize_t, "write", int, const void*, size_t);
    return real(fd, data, size);
}

static int in_folder(const char* path) {
    size_t length = strlen(folder);
    return length && !strncmp(path, folder, length);
}

// One record: name, paths, offset, and the size of the bytes that follow. Names have no tabs.
static void record(const char* name, const char* path, const char* other, long offset,
                   const void* data, size_t size) {
    if (record_fd < 0 || !in_folder(path)) return;
    char line[2 * PATH_MAX + 128];
    int length =
        snprintf(line, sizeof line, "%s\t%s\t%s\t%ld\t%zu\n", name, path, other, offset, size);
    struct iovec parts[2] = {{line, (size_t)length}, {(void*)data, size}};
    syscall(SYS_writev, record_fd, parts, 2);
}

static void path_of(int fd, char* path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
}

static void record_fd_call(const char* name, int fd, long offset, const void* data, size_t size) {
    char path[PATH_MAX];
    if (record_fd < 0) return;
    int saved = errno;
    path_of(fd, path);
    record(name, path, "", offset, data, size);
    errno = saved;
}

static void whole_path(int directory, const char* path, char* whole) {
    whole[0] = 0;
    if (path[0] != '/') {
        if (directory != AT_FDCWD)
            path_of(directory, whole);
        else if (!getcwd(whole, PATH_MAX))
            whole[0] = 0;
        strcat(whole, "/");
    }
    strncat(whole, path, PATH_MAX - 1);
}

static void record_at(const char* name, int directory, const char* path, int other_directory,
                      const char* other) {
    char whole[2 * PATH_MAX], whole_other[2 * PATH_MAX] = "";
    if (record_fd < 0) return;
    int saved = errno;
    whole_path(directory, path, whole);
    if (other) whole_path(other_directory, other, whole_other);
    record(name, whole, whole_other, 0, "", 0);
    errno = saved;
}

_Noreturn static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

enum verdict { PASS, FAIL, HALF, THEN_DIE, HALF_THEN_DIE };

// What is to be done with one call; `path` is what it changes.
static enum verdict judge(const char* name, const char* path, int is_write, int takes_space) {
    size_t length = strlen(folder);
    if (!length || strncmp(path, folder, length)) return PASS;
    long number = atomic_fetch_add(&calls, 1);
    if (trace_fd >= 0) {
        char line[PATH_MAX + 64];
        int size = snprintf(line, sizeof line, "call %ld %s %s\n", number, name, path + length);
        real_write(trace_fd, line, size);
    }
    if (number < fault_at || fault_at < 0) return PASS;
    if (fault_mode == ERROR_ALWAYS) {
        // A full disk still renames, deletes and closes; a read-only one closes.
        int affected = fault_errno == ENOSPC ? takes_space : strcmp(name, "close") != 0;
        return affected ? FAIL : PASS;
    }
    if (number > fault_at) return PASS;
    switch (fault_mode) {
    case KILL_BEFORE: die();
    case KILL_AFTER: return THEN_DIE;
    case TORN:
        if (!is_write) die();
        return HALF_THEN_DIE;
    case SHORT: return is_write ? HALF : PASS;
    default: return FAIL;
    }
}

static enum verdict judge_at(const char* name, int directory, const char* path, int takes_space) {
    char whole[PATH_MAX + 8] = "";
    if (!folder[0]) return PASS;
    if (path[0] != '/') {
        char link[64];
        snprintf(link, sizeof link, directory == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d",
                 directory);
        ssize_t length = readlink(link, whole, PATH_MAX / 2);
        if (length < 0) return PASS;
        whole[length] = '/';
        whole[length + 1] = 0;
    }
    strncat(whole, path, sizeof whole - strlen(whole) - 1);
    return judge(name, whole, 0, takes_space);
}

static enum verdict judge_fd(const char* name, int fd, int is_write, int takes_space) {
    char link[64], path[PATH_MAX];
    if (!folder[0]) return PASS;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return PASS;
    path[length] = 0;
    return judge(name, path, is_write, takes_space);
}

// `call` gives the result; `half` is what a torn or short write does in its place; `note` records.
#define ANSWER(judgement, call, half, note)                                                        \
    enum verdict given = judgement;                                                                \
    if (given == FAIL) {                                                                           \
        errno = fault_errno;                                                                       \
        return -1;                                                                                 \
    }                                                                                              \
    long result = given == HALF || given == HALF_THEN_DIE ? (half) : (call);                       \
    if (given == THEN_DIE || given == HALF_THEN_DIE) die();                                        \
    if (result >= 0) note;                                                                         \
    return result

ssize_t write(int fd, const void* data, size_t size) {
    ANSWER(judge_fd("write", fd, 1, 1), real_write(fd, data, size),
           real_write(fd, data, (size + 1) / 2),
           record_fd_call("write", fd, lseek(fd, 0, SEEK_CUR) - result, data, (size_t)result));
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec*, int);
    // The parts one by one: who records needs their bytes.
    if (record_fd >= 0 && count > 0) return write(fd, parts[0].iov_base, parts[0].iov_len);
    ANSWER(judge_fd("writev", fd, 1, 1), real(fd, parts, count), real(fd, parts, 1), (void)0);
}

#define POSITIONED_WRITE(name, offset_type)                                                        \
    ssize_t name(int fd, const void* data, size_t size, offset_type offset) {                      \
        REAL(ssize_t, #name, int, const void*, size_t, offset_type);                               \
        ANSWER(judge_fd(#name, fd, 1, 1), real(fd, data, size, offset),                            \
               real(fd, data, (size + 1) / 2, offset),                                             \
               record_fd_call("write", fd, offset, data, (size_t)result));                         \
    }
POSITIONED_WRITE(pwrite, off_t)
POSITIONED_WRITE(pwrite64, off64_t)

#define ON_FD(name, takes_space)                                                                   \
    int name(int fd) {                                                                             \
        REAL(int, #name, int);                                                                     \
        ANSWER(judge_fd(#name, fd, 0, takes_space), real(fd), 0,                                   \
               record_fd_call("sync", fd, 0, "", 0));                                              \
    }
ON_FD(fsync, 1)
ON_FD(fdatasync, 1)

static int changes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT); }

// A file that fails to close is closed all the same; those that are only read do not count.
int close(int fd) {
    REAL(int, "close", int);
    int flags = folder[0] ? fcntl(fd, F_GETFL) : 0;
    enum verdict given = changes(flags) ? judge_fd("close", fd, 0, 0) : PASS;
    int result = real(fd);
    if (given == THEN_DIE) die();
    if (given != FAIL) return result;
    errno = fault_errno;
    return -1;
}

#define ON_SIZE(name, type)                                                                        \
    int name(int fd, type size) {                                                                  \
        REAL(int, #name, int, type);                                                               \
        ANSWER(judge_fd(#name, fd, 0, 1), real(fd, size), 0,                                       \
               record_fd_call("truncate", fd, size, "", 0));                                       \
    }
ON_SIZE(ftruncate, off_t)
ON_SIZE(ftruncate64, off64_t)

#define MODE_ARGUMENT(flags)                                                                       \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                       \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode = va_arg(rest, mode_t);                                                               \
        va_end(rest);                                                                              \
    }

// O_TMPFILE gives a file without a name, which no power failure shows.
static void record_open(int fd, int flags) {
    if ((flags & O_TMPFILE) != O_TMPFILE)
        record_fd_call(flags & O_TRUNC ? "create empty" : "create", fd, 0, "", 0);
}

#define OPEN(name)                                                                                 \
    int name(const char* path, int flags, ...) {                                                   \
        REAL(int, #name, const char*, int, ...);                                                   \
        MODE_ARGUMENT(flags)                                                                       \
        if (!changes(flags)) return real(path, flags, mode);                                       \
        ANSWER(judge_at("open", AT_FDCWD, path, 1), real(path, flags, mode), 0,                    \
               record_open((int)result, flags));                                                   \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                               \
    int name(int directory, const char* path, int flags, ...) {                                    \
        REAL(int, #name, int, const char*, int, ...);                                              \
        MODE_ARGUMENT(flags)                                                                       \
        if (!changes(flags)) return real(directory, path, flags, mode);                            \
        ANSWER(judge_at("open", directory, path, 1), real(directory, path, flags, mode), 0,        \
               record_open((int)result, flags));                                                   \
    }
OPENAT(openat)
OPENAT(openat64)

int rename(const char* from, const char* to) {
    REAL(int, "rename", const char*, const char*);
    ANSWER(judge_at("rename", AT_FDCWD, to, 0), real(from, to), 0,
           record_at("rename", AT_FDCWD, to, AT_FDCWD, from));
}

int renameat(int from_directory, const char* from, int to_directory, const char* to) {
    REAL(int, "renameat", int, const char*, int, const char*);
    ANSWER(judge_at("rename", to_directory, to, 0), real(from_directory, from, to_directory, to), 0,
           record_at("rename", to_directory, to, from_directory, from));
}

int link(const char* from, const char* to) {
    REAL(int, "link", const char*, const char*);
    ANSWER(judge_at("link", AT_FDCWD, to, 1), real(from, to), 0,
           record_at("link", AT_FDCWD, to, AT_FDCWD, from));
}

int unlink(const char* path) {
    REAL(int, "unlink", const char*);
    ANSWER(judge_at("unlink", AT_FDCWD, path, 0), real(path), 0,
           record_at("unlink", AT_FDCWD, path, 0, 0));
}

int unlinkat(int directory, const char* path, int flags) {
    REAL(int, "unlinkat", int, const char*, int);
    ANSWER(judge_at("unlink", directory, path, 0), real(directory, path, flags), 0,
           record_at("unlink", directory, path, 0, 0));
}

int rmdir(const char* path) {
    REAL(int, "rmdir", const char*);
    ANSWER(judge_at("rmdir", AT_FDCWD, path, 0), real(path), 0,
           record_at("unlink", AT_FDCWD, path, 0, 0));
}

int mkdir(const char* path, mode_t mode) {
    REAL(int, "mkdir", const char*, mode_t);
    ANSWER(judge_at("mkdir", AT_FDCWD, path, 1), real(path, mode), 0,
           record_at("mkdir", AT_FDCWD, path, 0, 0));
}

int mkdirat(int directory, const char* path, mode_t mode) {
    REAL(int, "mkdirat", int, const char*, mode_t);
    ANSWER(judge_at("mkdir", directory, path, 1), real(directory, path, mode), 0,
           record_at("mkdir", directory, path, 0, 0));
}
