/* backend/cpu/cpu.h - the CPU backend's own structures: a loaded model, its program, one step, one thread of a step.
 *
 * compile.c turns the plan into nodes: an op with the row ops before it and the residual add after it, where they
 * match. step.c checks a batch, lays out its tokens and walks the nodes in one parallel region; node_*.c hold what
 * nodes do. Every thread walks the same nodes and passes the same barriers; work inside a node is handed out in chunks.
 */
#pragma once
#include "backend/backend.h"
#include "backend/cpu/kv.h"
#include "backend/cpu/linear.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/rowops.h"
#include "backend/cpu/weights.h"

enum {
    WICK_MAX_KEYS = 4,  /* forms of activations that one node's products may ask for */
    WICK_SMALL_ROWS = 8 /* so many rows each thread may prepare for itself: see small_batch in work.c */
};

/* Floats from one row of a node's inner rows to the next. Not a multiple of a page: the tiles of many rows are written
 * in turn, and would all fall into one set of the cache. */
static inline uint32_t wick_row_stride(uint32_t width)
{
    return width % 256 == 0 ? width + 16 : width;
}

typedef struct wick_node wick_node;
typedef struct wick_cpu_step wick_cpu_step;
typedef struct wick_lane wick_lane;
typedef void (*wick_node_fn)(wick_cpu_step *s, const wick_node *n, wick_lane *t);

/* The forms in which a block of rows has to be prepared, one for each act_key of the products that read it. */
typedef struct wick_input {
    const wick_lin *lin[WICK_MAX_KEYS];
    uint32_t n;
} wick_input;

typedef struct wick_prod { /* one product: y[m][0..n_out) = lin * act + bias */
    const wick_lin *lin;
    const float *bias; /* NULL: none */
    uint32_t slot;     /* of the input */
    uint32_t at;       /* column of the destination where it starts */
} wick_prod;

struct wick_node {
    wick_node_fn run;
    const wick_op *op;
    const wick_op *row_op; /* [n_row_ops] NORM, ADD, COPY that run row by row before */
    uint32_t n_row_ops;
    const wick_op_norm *norm; /* the input is norm(reg[src]); NULL: reg[src] itself */
    wick_reg src, dst;
    bool add; /* reg[dst] = reg[dst] * dst_scale + y * src_scale instead of reg[dst] = y */
    float dst_scale, src_scale;
    bool compact_before, compact_inside; /* from here on only the rows that are asked for are computed */
    wick_input in, mid, mid2, mid3;      /* of the source, of the inner rows */
    wick_prod prod[8];                   /* by op: see the node's file */
    uint32_t n_prods;
    uint32_t rope;    /* index into model->rope */
    uint32_t width;   /* floats of a row in step->wide */
    const void *data; /* of the op's own, in the model's arena */
};

typedef struct wick_tok {
    wick_seq *seq;
    uint32_t pos;
    int32_t id;
    uint32_t end; /* positions that the sequence holds after this step */
    bool second;  /* in the second text of a pair */
} wick_tok;

typedef struct wick_run { /* consecutive tokens of one sequence */
    uint32_t first, n;
} wick_run;

/* One thread's memory. `n`, `tok`, `run` change together when rows are compacted: the same on all threads. */
struct wick_lane {
    wick_cpu_step *step;
    uint32_t id, phase;
    uint32_t n, n_runs;
    const wick_tok *tok;
    const wick_run *run;
    float *norm; /* [WICK_SMALL_ROWS][widest input] */
    void *act;   /* prepared rows of its own, up to WICK_SMALL_ROWS */
    void *lin_scratch;
    float *scratch; /* attention, states, routing */
};

typedef struct wick_rope_table {
    const wick_rope *rope;
    float *cos_sin; /* [max_tokens][n_dims]: cos of n_dims/2, sin of n_dims/2 */
} wick_rope_table;

struct wick_cpu_step {
    wick_backend_model *m;
    uint32_t n, n_out; /* tokens of the batch, and how many of them have outputs */
    uint32_t n_runs, n_out_runs;
    wick_tok *tok, *out_tok; /* [max_tokens] */
    wick_run *run, *out_run; /* [max_tokens] */
    uint32_t *out_at;        /* [max_tokens] token of each output */
    bool hidden;             /* outputs are hidden states */
    float *reg[WICK_N_REGS]; /* [max_tokens][n_embd] */
    float *normed;           /* [max_tokens][n_embd] */
    float *wide;             /* the node's inner rows */
    void *act;               /* prepared rows */
    float *out;              /* [out_cap][width] */
    uint64_t out_cap;        /* floats */
    float *part;             /* partial sums of attention that is split over the context */
    uint64_t part_cap;       /* floats */
    uint32_t *route;         /* MoE: who goes where */
};

struct wick_backend_ctx {
    wick_pool *pool;
    const wick_lin_isa *isa;
    const wick_rowops *row;
    wick_backend_opts opts;
};

struct wick_backend_model {
    wick_backend_ctx *ctx;
    const wick_plan *plan;
    wick_pool *pool;
    const wick_rowops *row;
    uint32_t max_tokens, n_threads;
    wick_mats mats;
    wick_kv kv;
    wick_node *node;
    uint32_t n_nodes;
    wick_rope_table *rope;
    uint32_t n_ropes;
    wick_lane *lane; /* [n_threads] */
    wick_cpu_step step;
    bool has_output;                                      /* a step was submitted and its result not yet replaced */
    uint64_t lane_norm, lane_act, lane_lin, lane_scratch; /* bytes per thread */
    uint64_t wide_bytes, act_bytes, route_words;
    uint64_t part_floats;   /* of one split attention task and chunk */
    uint64_t scratch_bytes; /* all buffers */
    uint64_t n_steps, n_tokens;
    double step_ms;
    wick_arena arena; /* nodes and their data */
    char label[192];
};

/* check.c */
wick_status wick_cpu_check(const wick_plan *plan, wick_err *err) WICK_MUST_CHECK;

/* compile.c */
wick_status wick_cpu_compile(wick_backend_model *m, wick_err *err) WICK_MUST_CHECK;
uint64_t wick_input_bytes(const wick_input *in, uint32_t n_rows);

/* node.c: what the planners of nodes (node_*.c) use */
void wick_need(uint64_t *have, uint64_t bytes); /* *have = the larger of both */
/* The slot of the activations that l reads, in the encoding that it wants; made where `in` has none yet. */
wick_status wick_input_add(wick_input *in, const wick_lin *l, uint32_t *slot, wick_err *err) WICK_MUST_CHECK;
/* p multiplies `in` by w (+ bias), to column `at` of what the node computes. */
wick_status wick_prod_init(wick_prod *p, wick_backend_model *m, wick_input *in, const wick_weight *w, const float *bias,
                           uint32_t at, wick_err *err) WICK_MUST_CHECK;
/* r's place among the ropes that a step tabulates. */
uint32_t wick_rope_index(wick_backend_model *m, const wick_rope *r);

/* step.c */
wick_status wick_step_buffers(wick_backend_model *m, wick_err *err) WICK_MUST_CHECK;
void wick_step_release(wick_backend_model *m);
wick_status wick_step_run(wick_backend_model *m, const wick_batch *b, wick_err *err) WICK_MUST_CHECK;

/* work.c: the pieces that nodes are made of */
/* From here on only the rows that are asked for are computed: moves them together, in the registers and in `more`. */
void wick_lane_compact(wick_cpu_step *s, wick_lane *t, float *more, uint32_t more_stride, uint32_t more_width);
bool wick_work(wick_lane *t, uint32_t n, uint32_t chunk, uint32_t *from,
               uint32_t *to); /* until false; then the phase is over */
void wick_join(wick_lane *t); /* barrier */
/* Row ops, norm and preparation of the node's source. On return the prepared rows may be read. */
const void *wick_prepare_source(wick_cpu_step *s, const wick_node *n, wick_lane *t);
/* The same for inner rows that all threads have finished: x[m * stride] (a barrier lies before). */
const void *wick_prepare(wick_cpu_step *s, wick_lane *t, const wick_input *in, const float *x, uint64_t stride);
const void *wick_act_slot(const wick_input *in, uint32_t slot, const void *act, uint32_t n_rows);
/* Products side by side into y[m * stride + prod.at ..]; no barrier behind. */
void wick_products(wick_lane *t, const wick_input *in, const void *act, const wick_prod *p, uint32_t n_prods, float *y,
                   uint64_t stride);
/* The last product of a node: into reg[dst], with the residual if there is one; barrier behind. */
void wick_product_out(wick_cpu_step *s, const wick_node *n, wick_lane *t, const wick_input *in, const void *act,
                      const wick_prod *p);

/* node_*.c: `plan` fills the node from its op and says what memory it needs. */
wick_status wick_plan_embed(wick_backend_model *m, wick_node *n, wick_err *err);
wick_status wick_plan_rows(wick_backend_model *m, wick_node *n, wick_err *err);
wick_status wick_plan_head(wick_backend_model *m, wick_node *n, wick_err *err);
wick_status wick_plan_attn(wick_backend_model *m, wick_node *n, wick_err *err);
wick_status wick_plan_mla(wick_backend_model *m, wick_node *n, wick_err *err);
wick_status wick_plan_mlp(wick_backend_model *m, wick_node *n, wick_err *err);
wick_status wick_plan_ple(wick_backend_model *m, wick_node *n, wick_err *err);
wick_status wick_plan_moe(wick_backend_model *m, wick_node *n, wick_err *err);
wick_status wick_plan_conv(wick_backend_model *m, wick_node *n, wick_err *err);
wick_status wick_plan_mamba1(wick_backend_model *m, wick_node *n, wick_err *err);
wick_status wick_plan_mamba2(wick_backend_model *m, wick_node *n, wick_err *err);
wick_status wick_plan_delta(wick_backend_model *m, wick_node *n, wick_err *err);

/* Floats that attention split over the context needs when the longest sequence holds `positions`. */
uint64_t wick_attn_part_floats(const wick_backend_model *m, uint64_t positions);

extern const wick_backend wick_backend_cpu;
