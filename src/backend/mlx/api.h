/* backend/mlx/api.h - MLX's C functions, found at run time.
 *
 * The program does not link MLX: wick_mlx_load() opens the library once and fills the table, so the same program runs
 * where MLX is not installed. The functions are those of mlx-c: from a system mlx-c (WICK_MLX_SYSTEM_HEADER), or from
 * the binding in binding/. Messages of MLX go into a buffer of the calling thread, never to its own handler, which
 * exits.
 */
#pragma once
#include "base/status.h"

#ifdef WICK_MLX_SYSTEM_HEADER
#include <mlx/c/mlx.h>
#else
#include "backend/mlx/binding/mlxc.h"
#endif

typedef struct wick_mlx_api {
#define F(name) __typeof__(mlx_##name) *name;
#include "backend/mlx/api.def"
#undef F
} wick_mlx_api;

extern wick_mlx_api wick_mlx; /* all set once wick_mlx_load() has returned WICK_OK */

/* Opens the library, once; later calls return the same answer. Thread-safe. WICK_E_DEVICE_NOT_AVAILABLE says what is
 * missing and how to install it. */
wick_status wick_mlx_load(wick_err *err) WICK_MUST_CHECK;
/* What MLX said last on this thread ("" if nothing), and forgets it. Valid until the next message. */
const char *wick_mlx_message(void);
/* The last message as an error: out of memory is told from the rest. */
wick_status wick_mlx_fail(wick_err *err, const char *what);
