/* base/thread.c - pthreads behind Wick's names. Waits use the monotonic clock where the system allows. */
#include "base/thread.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include "base/fault.h"

/* The new thread takes no signals: they are the host program's, and interrupt the calls of its threads. */
wick_status wick_thread_start(wick_thread *t, const char *name, void *(*fn)(void *), void *arg, wick_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = wick_fault(WICK_FAULT_THREAD) ? errno : pthread_create(&t->id, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    t->started = e == 0;
    if (e) return wick_err_io(err, name, "start thread", e);
#if defined(__linux__)
    char cut[16];
    strncpy(cut, name, sizeof cut - 1);
    cut[sizeof cut - 1] = '\0';
    pthread_setname_np(t->id, cut);
#endif
    return WICK_OK;
}

void wick_thread_join(wick_thread *t)
{
    if (!t->started) return;
    pthread_join(t->id, NULL);
    t->started = false;
}

void wick_lock_init(wick_lock *l)
{
    pthread_mutex_init(&l->m, NULL);
}

void wick_lock_release(wick_lock *l)
{
    pthread_mutex_destroy(&l->m);
}

void wick_lock_take(wick_lock *l)
{
    pthread_mutex_lock(&l->m);
}

void wick_lock_drop(wick_lock *l)
{
    pthread_mutex_unlock(&l->m);
}

void wick_cond_init(wick_cond *c)
{
#if defined(__APPLE__)
    pthread_cond_init(&c->c, NULL);
#else
    pthread_condattr_t a;
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&c->c, &a);
    pthread_condattr_destroy(&a);
#endif
}

void wick_cond_release(wick_cond *c)
{
    pthread_cond_destroy(&c->c);
}

void wick_cond_wait(wick_cond *c, wick_lock *l)
{
    pthread_cond_wait(&c->c, &l->m);
}

bool wick_cond_wait_ms(wick_cond *c, wick_lock *l, uint64_t ms)
{
    struct timespec t;
#if defined(__APPLE__)
    t.tv_sec = (time_t)(ms / 1000);
    t.tv_nsec = (long)(ms % 1000) * 1000000;
    return pthread_cond_timedwait_relative_np(&c->c, &l->m, &t) != ETIMEDOUT;
#else
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(ms / 1000);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return pthread_cond_timedwait(&c->c, &l->m, &t) != ETIMEDOUT;
#endif
}

void wick_cond_signal(wick_cond *c)
{
    pthread_cond_signal(&c->c);
}

void wick_cond_broadcast(wick_cond *c)
{
    pthread_cond_broadcast(&c->c);
}

void wick_call_once(wick_once *once, void (*fn)(void))
{
    pthread_once(once, fn);
}
