/* A timeline of a run as a file: copies and computation, on the device and on the processor, side by side, in the Trace
 * Event format (JSON) that chrome://tracing and ui.perfetto.dev open. Events are complete ones ("ph": "X"); ts and dur
 * are microseconds since the trace was opened, on the clock of sto_device_now_ns; args has "number", and "bytes" or
 * "columns" where there are any. */
#ifndef STO_TRACE_H
#define STO_TRACE_H

#include "runtime/strato.h"

enum sto_trace_track {
    STO_TRACE_COMPUTE,   /* batches of the compute queue           */
    STO_TRACE_COPIES,    /* streamed layers on their way to a slot */
    STO_TRACE_PROCESSOR, /* runs of layers on the processor        */
    STO_TRACE_TRACKS
};

struct sto_trace_span {
    enum sto_trace_track track;
    const char *name;         /* plain ASCII without quotes */
    uint64_t begin_ns, end_ns;
    uint64_t bytes;           /* 0: left out                */
    uint32_t columns;         /* likewise                   */
    uint32_t number;          /* which (first) layer, or batch */
};

struct sto_trace;

/* Overwrites the file. start_ns: what times count from. Errors name it. */
enum sto_status sto_trace_open(const char *path, uint64_t start_ns, struct sto_trace **out, struct sto_error *err);
/* Any thread; trace NULL: does nothing. What was before the trace begins at 0. Allocates nothing of ours. */
void sto_trace_add(struct sto_trace *trace, const struct sto_trace_span *span);
/* Accepts NULL. An error when not all of it could be written. */
enum sto_status sto_trace_close(struct sto_trace *trace, struct sto_error *err);

#endif
