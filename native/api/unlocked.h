// The time in which a kernel runs without the GIL, for bindings.cpp.
#pragma once

#include <Python.h>

#ifndef _WIN32
#include <unistd.h>
#endif

namespace centroids {

// Python that is ending lets no thread have the GIL again. Up to 3.13 it ends such a thread with
// pthread_exit, which unwinds the stack; nothing may unwind the frames of a binding, so that the
// whole process would be aborted. A thread that sleeps until the process is gone harms nobody (and
// is what Python does from 3.14 on).
class SleepIfUnwound {
  public:
    ~SleepIfUnwound() {
#ifndef _WIN32
        while (!returned) pause();
#endif
    }
    bool returned = false;
};

// In place of nb::gil_scoped_release, which is not ready for that.
class Unlocked {
  public:
    Unlocked() : state_(PyEval_SaveThread()) {}
    ~Unlocked() { lock_again(state_); }
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;

  private:
    // A function of its own: a destructor must not be unwound at all.
    [[gnu::noinline]] static void lock_again(PyThreadState* state) {
        SleepIfUnwound guard;
        PyEval_RestoreThread(state);
        guard.returned = true;
    }

    PyThreadState* state_;
};

} // namespace centroids
