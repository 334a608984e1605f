// Memory that runs out: loaded with LD_PRELOAD, armed through ctypes (each_allocation.py).
//
// Counts the allocations of at least so many bytes, in all threads, and lets one of them fail, or
// all from it on.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

enum kind { OF_C, OF_CPP }; // malloc and its kin, or C++'s new

static atomic_int armed;
static enum kind kind;
static atomic_long counted;
static long fail_at;
static int fail_after;
static size_t least;

// Allocation number `at` of `bytes` and more fails, counted from 0; -1: none. `lasts`: and all
// later ones.
void memory_arm(int which, long at, size_t bytes, int lasts) {
    counted = 0;
    kind = (enum kind)which;
    fail_at = at;
    fail_after = lasts;
    least = bytes;
    armed = 1;
}

// Returns how many there were.
long memory_disarm(void) {
    armed = 0;
    return counted;
}

static int fails(enum kind which, size_t size) {
    if (!armed || which != kind || size < least) return 0;
    const long number = atomic_fetch_add(&counted, 1);
    if (fail_at < 0 || number < fail_at || (number > fail_at && !fail_after)) return 0;
    errno = ENOMEM;
    return 1;
}

void* malloc(size_t size) { return fails(OF_C, size) ? NULL : __libc_malloc(size); }

void* calloc(size_t count, size_t size) {
    return fails(OF_C, count * size) ? NULL : __libc_calloc(count, size);
}

void* realloc(void* old, size_t size) {
    return fails(OF_C, size) ? NULL : __libc_realloc(old, size);
}

void* memalign(size_t alignment, size_t size) {
    return fails(OF_C, size) ? NULL : __libc_memalign(alignment, size);
}

void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void** result, size_t alignment, size_t size) {
    void* memory = memalign(alignment, size);
    if (!memory) return ENOMEM;
    *result = memory;
    return 0;
}

// C++'s new fails by an exception, which it throws itself when it is asked for too much.
void* _Znwm(size_t size) {
    static void* (*real)(size_t);
    if (!real) real = (void* (*)(size_t))dlsym(RTLD_NEXT, "_Znwm");
    return real(fails(OF_CPP, size) ? PTRDIFF_MAX : size);
}

void* _ZnwmSt11align_val_t(size_t size, size_t alignment) {
    static void* (*real)(size_t, size_t);
    if (!real) real = (void* (*)(size_t, size_t))dlsym(RTLD_NEXT, "_ZnwmSt11align_val_t");
    return real(fails(OF_CPP, size) ? PTRDIFF_MAX : size, alignment);
}
