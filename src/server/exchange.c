/* server/exchange.c - one request and its answer: waking its connection, answers that are complete. */
#include "server/server_int.h"

void wick_x_wake(wick_exchange *x)
{
    wick_lock_take(&x->lock);
    if (x->suspended && x->state != WICK_X_WORK) { /* a worker wakes it itself when it is done */
        x->suspended = false;
        MHD_resume_connection(x->mhd);
    } else {
        x->woken = true;
    }
    wick_lock_drop(&x->lock);
}

static int to_buf(const char *p, size_t n, void *ctx)
{
    wick_buf *b = ctx;
    wick_buf_add(b, p, n);
    return b->failed ? -1 : 0;
}

bool wick_json_write(wick_buf *b, const json_t *v)
{
    return json_dump_callback(v, to_buf, b, JSON_COMPACT | JSON_REAL_PRECISION(9) | JSON_ENCODE_ANY) == 0;
}

void wick_x_json(wick_exchange *x, unsigned status, json_t *v)
{
    wick_buf_reset(&x->out);
    const bool ok = v && wick_json_write(&x->out, v);
    json_decref(v);
    if (!ok) {
        wick_problem(x, 503, NULL, "out_of_memory", "out of memory while the answer was written");
        return;
    }
    wick_buf_putc(&x->out, '\n');
    x->status = status;
    x->content_type = "application/json";
}

void wick_x_text(wick_exchange *x, unsigned status, const char *content_type)
{
    x->status = status;
    x->content_type = content_type;
}
