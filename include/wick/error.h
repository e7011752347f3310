/* wick/error.h - how Wick says that something failed.
 *
 * Every call that can fail returns a wick_status (0 is success) and takes a `wick_error *` last, which may be
 * NULL. On failure the struct holds the kind, one line of text that names the thing, the place and the remedy,
 * and the typed details of that kind. On success it is left alone. Results go to out-parameters, which are
 * written on success only.
 *
 * The CLI exits with the value of the status, so the numbers below are part of the contract.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* What libwick exports; everything else in it is hidden. */
#if defined(__GNUC__)
#define WICK_API __attribute__((visibility("default")))
#else
#define WICK_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum wick_status {
    WICK_OK = 0,
    WICK_E_INTERNAL = 1,             /* a bug of ours, or a failure that fits nothing below */
    WICK_E_BAD_PARAMETER = 2,        /* subject = the parameter */
    WICK_E_MODEL_NOT_FOUND = 3,      /* subject = the path or id */
    WICK_E_UNSUPPORTED_FORMAT = 4,   /* subject = the file; expected, got */
    WICK_E_BAD_FILE = 5,             /* subject = the file: truncated, inconsistent or hostile */
    WICK_E_DEVICE_NOT_AVAILABLE = 6, /* subject = the device; the reason is in `got` */
    WICK_E_TOKENIZER_MISMATCH = 7,   /* need = the model's vocabulary, have = the tokenizer's */
    WICK_E_OUT_OF_MEMORY = 8,        /* need, have: bytes */
    WICK_E_IO = 9,                   /* subject = the file; the system's reason is in `got` */
    WICK_E_CANCELLED = 10,           /* the caller asked for it */
    WICK_E_LIMIT = 11,               /* a configured limit: context full, queue full, time out */
    WICK_E_TEMPLATE = 12,            /* a chat template is wrong, or raised */
    WICK_E_NUMERIC = 13,             /* the model gave NaN or no finite logit */
    WICK_E_REFUSED = 14              /* a safety rule said no */
} wick_status;

typedef struct wick_error {
    wick_status kind;
    char message[480]; /* one line, no trailing newline, never longer than this */
    char subject[256]; /* what it is about: a path, a parameter, a device */
    char expected[96];
    char got[96];
    uint64_t need, have; /* bytes or counts, see the kinds above */
} wick_error;

/* "bad parameter", "model not found", ...: a fixed name for a kind; "unknown" outside the list. */
WICK_API const char *wick_status_name(wick_status kind);

#ifdef __cplusplus
}
#endif
